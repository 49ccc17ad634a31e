// Owns: reproducible changes to bytes: the same seed gives the same run.

/** xorshift32; `seed` must not be 0. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }
  /** 0 to below - 1. */
  below(below: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    this.#state >>>= 0;
    return this.#state % Math.max(1, below);
  }
  pick<T>(list: readonly T[]): T {
    const one = list[this.below(list.length)];
    if (one === undefined) throw new Error('nothing to pick from');
    return one;
  }
  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)));
  }
}

const interesting = [
  0, 1, 2, 4, 255, 256, 32_768, 35_000, 65_535, 262_145, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
];

const changes: readonly ((bytes: Buffer, random: Random) => Buffer)[] = [
  (bytes, random) => {
    if (bytes.length > 0) {
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    }
    return bytes;
  },
  (bytes, random) => {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  (bytes, random) => {
    if (bytes.length >= 4) bytes.writeUInt32BE(random.pick(interesting), random.below(bytes.length - 3));
    return bytes;
  },
  (bytes, random) => {
    if (bytes.length < 4) return bytes;
    const at = random.below(bytes.length - 3);
    bytes.writeUInt32BE((bytes.readUInt32BE(at) + random.below(5) - 2) >>> 0, at);
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => Buffer.concat([bytes, random.bytes(random.below(64))]),
  (bytes, random) => {
    const from = random.below(bytes.length);
    return Buffer.concat([bytes, bytes.subarray(from, from + random.below(200))]);
  },
  (bytes, random) => {
    const at = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), random.bytes(random.below(16)), bytes.subarray(at)]);
  },
  (bytes, random) => {
    const at = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.below(16))]);
  },
];

/** A changed copy; one to four changes. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let left = 1 + random.below(4); left > 0; left -= 1) changed = random.pick(changes)(changed, random);
  return changed.subarray(0, 40_000);
}
