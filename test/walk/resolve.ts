// Owns: what a value stands for at the moment in which it is stated: ids, names and bytes, and whose they are.
import { randomBytes, randomUUID } from 'node:crypto';
import { transcript, UserKey } from '../support/impostor.ts';
import type { Said } from '../support/store-client.ts';
import { type Extent, encrypt, inlineOf, inStore, type Player, sha256 } from './player.ts';
import type { Call } from './steps.ts';
import { possibleValues, type Said as Stated, type Whose } from './words.ts';

export type Cast = Readonly<Record<Exclude<Whose, 'made-up'>, Player>>;
export type Spoken = {
  readonly op: string;
  readonly params: unknown;
  /** Whose token it shows, if it shows one that somebody has. */
  readonly by: Player | undefined;
  /** What is put into the store before it is stated. */
  readonly puts: readonly ToPut[];
};
/** An object, and the extent that will say what the store said of it. */
export type ToPut = { readonly ticket: string; readonly bytes: Buffer; readonly extent: Extent };

const consoleLines = [
  'whoami',
  'help',
  'windows',
  'keys',
  'enroll',
  'keys add',
  'receipt-key',
  'lock thief-2',
  'unlock thief-1 --for 8h',
  'nonsense \u0007',
];
const nameOf = (index: number): string => `n${index % 4}`;

/** Names that somebody could mean: their own, those of the same folder, of others, of another plane. */
const pathsOf = (p: Player): readonly (readonly string[])[] => {
  const beside = [...p.path.slice(0, -1), `${p.path.at(-1)}-b`];
  return [
    ...[p.path, p.path, p.path, p.path, p.path, p.path, beside, beside, beside],
    ...[
      p.statement,
      p.statement,
      p.statement,
      ['deposit', p.directory],
      ['deposit', p.directory],
      ['deposit', p.directory, 'in'],
    ],
    ...[['deposit'], ['collect'], [], [...p.path, 'below'], [p.person.customer, ...p.path]],
    // A directory that nothing else is put into; `lastPath` is its place.
    ['deposit', `${p.directory}-b`],
  ];
};

type Stands = (p: Player, n: number, whose: Whose) => unknown;
const one = <T>(values: readonly T[], n: number): T | undefined => values[n % values.length];
const selfTestKey = new UserKey();

/** What is put in the place of a value. For a value that is not listed here, anything that it can be is stated. */
const stands: Readonly<Record<string, Stands>> = {
  hostKey: (p, n) => one(p.node.hostKeys, n),
  startId: (p, _n, whose) => (whose === 'made-up' ? randomUUID() : p.node.startId),
  connection: (p) => p.connection,
  token: (p) => p.token,
  session: (p) => p.session,
  upload: (p) => p.upload,
  download: (p) => p.download,
  customer: (p) => p.customer,
  objectId: (p, n) => one(p.begun, n)?.objectId ?? randomBytes(16).toString('hex'),
  index: (p, n) => one([0, 0, 0, one(p.begun, n)?.index ?? 0, 1, 2, 9_999_999], n),
  path: (p, n) => one(pathsOf(p), n),
  name: (_p, n) => nameOf(n),
  username: (p) => p.person.name,
  publicKey: (p) => Buffer.from(p.person.key.blob).toString('base64'),
  signature: (p) => p.signature || 'AAAA',
  algorithm: (_p, n) => one(['ssh-ed25519', 'ssh-ed25519', 'rsa-sha2-256'], n),
  clientKexInit: () => transcript('00'.repeat(8)).clientKexInit,
  serverKexInit: (p) => transcript(p.node.challenge).serverKexInit,
  identification: (_p, n) => Buffer.from(one(['SSH-2.0-Cofferdam', 'SSH-2.0-walk'], n) ?? '').toString('base64'),
  exchangeValue: () => randomBytes(32).toString('base64'),
  sharedSecret: () => randomBytes(32).toString('base64'),
  selfTestKey: (_p, n) => Buffer.from((n % 2 === 0 ? selfTestKey : new UserKey()).blob).toString('base64'),
  consoleLine: (_p, n) => one(consoleLines, n),
  address: (_p, n) => one(['127.0.0.1', '192.0.2.7', '2001:db8::1'], n),
  movedBytes: (_p, n) => one([0, 1, 250_000, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1, 2 ** 40], n),
  // As much as an honest edge asks for, or the most that can be stated: small numbers affect nobody.
  permitBytes: (_p, n) => one([2 ** 26, 2 ** 32, 2 ** 26, 2 ** 32, 2 ** 26, 2 ** 32, 2 ** 26, 1], n),
  offset: (_p, n) => one([0, 1, 699, 700, 65_536, Number.MAX_SAFE_INTEGER], n),
  standing: (p, n) => one([p.standing, p.standing, p.standing + 1, 0, 2 ** 31 - 1], n),
  size: (p, n) => one([p.content.length, 0, Number.MAX_SAFE_INTEGER], n),
  sha256: (p, n) => one([sha256(p.content), 'a'.repeat(64)], n),
};

/** A player who holds nothing that anybody gave. */
const nobody = (p: Player): Player =>
  Object.assign(Object.create(Object.getPrototypeOf(p)), p, {
    token: randomBytes(32).toString('base64url'),
    session: randomUUID(),
    upload: randomUUID(),
    download: randomUUID(),
    customer: randomUUID(),
    connection: randomUUID(),
    begun: [],
  }) as Player;

const invented = (): Said => ({
  digest: randomBytes(32).toString('base64'),
  acknowledgement: randomBytes(32).toString('base64'),
});
const sizes = [10, 2000, 65_000, 200_000] as const;

class Speaker {
  readonly #cast: Cast;
  readonly puts: ToPut[] = [];
  readonly byName = new Map<string, Buffer>();

  constructor(cast: Cast) {
    this.#cast = cast;
  }

  who(of: Whose): Player {
    return of === 'made-up' ? nobody(this.#cast.mine) : this.#cast[of];
  }

  say(said: Stated, name = ''): unknown {
    if ('literal' in said) return said.literal;
    if ('items' in said) return said.items.map((item) => this.say(item));
    if ('fields' in said)
      return Object.fromEntries(Object.entries(said.fields).map(([field, one_]) => [field, this.say(one_, field)]));
    if ('proof' in said) return this.who(said.proof).evidence();
    if ('sealed' in said) return this.#extent(said, name);
    const stand = stands[said.word];
    return stand === undefined ? one(possibleValues(said.word), said.n) : stand(this.who(said.of), said.n, said.of);
  }

  #extent(said: Extract<Stated, { sealed: unknown }>, name: string): Extent | Omit<Extent, 'index'> {
    const p = this.who(said.of);
    // Mostly the extent that comes next.
    const fresh = p.begun[said.n % 4 === 0 ? said.n % Math.max(1, p.begun.length) : 0] ?? {
      index: 0,
      objectId: randomBytes(16).toString('hex'),
      key: p.token.slice(0, 43),
      context: '',
      ticket: randomBytes(58).toString('base64'),
    };
    const isInline = said.sealed === 'inline';
    const bytes = (isInline ? sizes[said.n % 3] : sizes[said.n % 4]) ?? 10;
    const plain = randomBytes(bytes);
    const usable = { ...fresh, key: fresh.context === '' ? randomBytes(32).toString('base64') : fresh.key };
    this.byName.set(name, plain);
    if (said.isSmall) {
      const { index: _index, ...small } = inlineOf(usable, plain);
      return small;
    }
    if (isInline) {
      const inline = inlineOf(usable, plain);
      // An object of the same name in the store belongs to no row.
      if (said.n % 5 === 0) {
        const extent = inStore({ index: fresh.index, objectId: fresh.objectId }, bytes);
        this.puts.push({ ticket: fresh.ticket, bytes: encrypt(usable, plain), extent });
      }
      return inline;
    }
    const index = fresh.index + (said.sealed === 'next-index' ? 1 : 0);
    const extent = inStore({ index, objectId: fresh.objectId }, said.sealed === 'long' ? bytes + 1 : bytes);
    // Until it is put, nobody has said anything of it.
    extent.durable = said.sealed === 'replayed' ? (this.#cast.mine.node.heard ?? invented()) : invented();
    const sealed = encrypt(usable, plain);
    if (said.sealed !== 'invented' && said.sealed !== 'replayed')
      this.puts.push({
        ticket: fresh.ticket,
        bytes: said.sealed === 'short' ? sealed.subarray(0, -1) : sealed,
        extent,
      });
    return extent;
  }
}

const tokenIn = (params: unknown): unknown =>
  typeof params === 'object' && params !== null ? (params as { readonly token?: unknown }).token : undefined;

export function speak({ op, params: said }: Call, cast: Cast): Spoken {
  const speaker = new Speaker(cast);
  const params = speaker.say(said);
  // A close is mostly about what exists, its last extent included, and says so.
  if ('fields' in said && typeof params === 'object' && params !== null) {
    const { size } = said.fields;
    const last = speaker.byName.get('lastExtent') ?? speaker.byName.get('extent');
    if (size !== undefined && 'word' in size && size.n % 3 !== 0) {
      const whole = Buffer.concat([speaker.who(size.of).content, last ?? Buffer.alloc(0)]);
      Object.assign(params, { whole: true, size: whole.length, sha256: sha256(whole) });
    }
  }
  const token = tokenIn(params);
  return { op, params, puts: speaker.puts, by: Object.values(cast).find((player) => player.token === token) };
}
