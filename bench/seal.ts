// Owns: `npm run bench:seal [MIB] [ROUNDS]`, the measurement of the processor time that sealing and opening segments
// costs, in seconds per GiB: by node:crypto into a fresh buffer for each segment, by what is used where the native code
// was not built, and by the native code. They take turns within each round, in another order each time, and the medians
// are reported. What is opened was sealed just before, outside of the measurement. The last line of the output is JSON.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { byNodeCrypto, type InPlace, inPlace } from '../server/extents/in-place.ts';
import { laterPlainBytes, segmentBytes } from '../server/extents/sealed-format.ts';

const mib = Number(process.argv[2] ?? 256);
const rounds = Number(process.argv[3] ?? 9);
const segments = Math.ceil((mib * 2 ** 20) / laterPlainBytes);
const native = inPlace();
if (!native.isNative) {
  process.stderr.write(`${native.text}\nnode scripts/prepare.cjs builds the native code\n`);
  process.exit(1);
}

const key = randomBytes(32);
const nonceOf = (index: number): Buffer => {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(index, 7);
  return nonce;
};
/** As many buffers as an upload has under way, so that their bytes are in no faster a cache than there. */
const buffers = Array.from({ length: 16 }, () => Buffer.from(new ArrayBuffer(segmentBytes)));
for (const buffer of buffers) randomBytes(laterPlainBytes).copy(buffer);

type Way = {
  readonly name: string;
  seal(buffer: Buffer, index: number): void;
  open(buffer: Buffer, index: number): void;
};
const length = laterPlainBytes;
const placed = (name: string, means: Pick<InPlace, 'seal' | 'open'>): Way => ({
  name,
  seal: (buffer, index) => means.seal(key, nonceOf(index), buffer, 0, length, length),
  open: (buffer, index) => means.open(key, nonceOf(index), buffer, 0, length, length),
});
const fresh: Way = {
  name: 'fresh buffers',
  seal(buffer, index) {
    const cipher = createCipheriv('aes-256-gcm', key, nonceOf(index), { authTagLength: 16 });
    cipher.update(buffer.subarray(0, length));
    cipher.final();
    cipher.getAuthTag();
  },
  open(buffer, index) {
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(index), { authTagLength: 16 });
    decipher.setAuthTag(buffer.subarray(length));
    decipher.update(buffer.subarray(0, length));
    decipher.final();
  },
};
const ways: readonly Way[] = [fresh, placed('node:crypto in place', byNodeCrypto), placed('native in place', native)];

/** Returns the processor time of `work` for all segments, of all threads of this process, in seconds per GiB. */
function measured(work: (buffer: Buffer, index: number) => void): number {
  const before = process.cpuUsage();
  for (let index = 0; index < segments; index += 1) work(buffers[index % buffers.length] as Buffer, index);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6 / ((segments * laterPlainBytes) / 2 ** 30);
}

/** The same for opening. It replaces the ciphertext, so each segment is sealed before, outside of the measurement. */
function openingOf(way: Way): number {
  const sealed = placed('', native);
  let spent = 0;
  for (let done = 0; done < segments; done += buffers.length) {
    for (const [at, buffer] of buffers.entries()) sealed.seal(buffer, done + at);
    const before = process.cpuUsage();
    for (const [at, buffer] of buffers.entries()) way.open(buffer, done + at);
    const { user, system } = process.cpuUsage(before);
    spent += user + system;
  }
  const opened = Math.ceil(segments / buffers.length) * buffers.length;
  return spent / 1e6 / ((opened * laterPlainBytes) / 2 ** 30);
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const found = ways.map((way) => ({ way, seal: [] as number[], open: [] as number[] }));
for (let round = -1; round < rounds; round += 1)
  for (let turn = 0; turn < found.length; turn += 1) {
    const one = found[(turn + round + 1) % found.length];
    if (one === undefined) continue;
    const [seal, open] = [measured(one.way.seal), openingOf(one.way)];
    // The first round only warms up.
    if (round < 0) continue;
    one.seal.push(seal);
    one.open.push(open);
  }
const figures = found.map(({ way, seal, open }) => ({
  way: way.name,
  sealSecondsPerGib: Number(median(seal).toFixed(3)),
  openSecondsPerGib: Number(median(open).toFixed(3)),
}));
for (const { way, sealSecondsPerGib, openSecondsPerGib } of figures)
  process.stdout.write(`${way.padEnd(21)} seal ${sealSecondsPerGib} s/GiB, open ${openSecondsPerGib} s/GiB\n`);
process.stdout.write(`${JSON.stringify({ mib, rounds, figures })}\n`);
