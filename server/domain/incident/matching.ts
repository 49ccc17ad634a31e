// Owns: whether indicators occur in one entry. The rules are those of the SQL that searches the database
// (server/admin/incident/hunt-queries.ts), applied to entries in archives.
// Must never: depend on anything but the indicators and the entry.
import { plainAddressBytes } from '../addresses.ts';
import { CofferdamError } from '../errors.ts';
import type { ArchivedEntry } from '../ledger/archive-line.ts';
import type { Indicator, IndicatorType } from './indicators.ts';

/** Returns the indicators that occur in an entry, as positions in the list of indicators. Each position occurs at most once. */
export type Matcher = (entry: ArchivedEntry) => readonly number[];

type Index = Map<string, number[]>;
const none: readonly number[] = [];
const strangersBits = 64;
/**
 * The largest number of positions in the cache of results for sources and for client identifications. When a cache has
 * more, it is emptied.
 */
const rememberedMax = 200_000;

function put(index: Index, key: string, place: number): void {
  const places = index.get(key);
  if (places === undefined) index.set(key, [place]);
  else if (places.at(-1) !== place) places.push(place);
}

function remembering(find: (key: string) => readonly number[]): (key: string) => readonly number[] {
  const known = new Map<string, readonly number[]>();
  let kept = 0;
  return (key) => {
    const before = known.get(key);
    if (before !== undefined) return before;
    const found = find(key);
    kept += found.length + 1;
    if (kept > rememberedMax) {
      known.clear();
      kept = found.length + 1;
    }
    known.set(key, found);
    return found;
  };
}

/**
 * Returns a map key for the first `bits` bits of an address, with all other bits set to zero. An address of 4 bytes and
 * one of 16 bytes never have the same key.
 */
const prefixKey = (bytes: Uint8Array, bits: number): string =>
  String.fromCharCode(...bytes.map((byte, i) => byte & (0xff << (8 - Math.min(8, Math.max(0, bits - 8 * i))))));

type Wanted = readonly (readonly [value: string, place: number])[];
type Net = { readonly bytes: Uint8Array; readonly bits: number; readonly place: number };

/** A single address is treated as a network with all its bits. */
const netsOf = (wanted: Wanted): readonly Net[] =>
  wanted.flatMap(([value, place]) => {
    const [host = '', length] = value.split('/');
    const bytes = plainAddressBytes(host);
    return bytes === undefined ? [] : [{ bytes, bits: length === undefined ? bytes.length * 8 : Number(length), place }];
  });

function networkMatcher(nets: readonly Net[]): (source: string) => readonly number[] {
  const groups = new Map<string, { readonly length: number; readonly bits: number; readonly index: Index }>();
  for (const { bytes, bits, place } of nets) {
    const name = `${bytes.length}/${bits}`;
    const group = groups.get(name) ?? { length: bytes.length, bits, index: new Map() };
    groups.set(name, group);
    put(group.index, prefixKey(bytes, bits), place);
  }
  return (source) => {
    const bytes = plainAddressBytes(source);
    if (bytes === undefined) return none;
    return [...groups.values()].flatMap(({ length, bits, index }) =>
      length === bytes.length ? (index.get(prefixKey(bytes, bits)) ?? none) : none,
    );
  };
}

/**
 * Entries about IPv6 strangers name a network of 64 bits, so an indicator that is narrower may have been among them. An
 * indicator that is the first address of its /64 is left out here, because the ordinary network matcher already finds it.
 */
function strangersMatcher(nets: readonly Net[]): (source: string) => readonly number[] {
  const index: Index = new Map();
  for (const { bytes, bits, place } of nets) {
    const net = prefixKey(bytes, strangersBits);
    if (bytes.length === 16 && bits > strangersBits && net !== prefixKey(bytes, bits)) put(index, net, place);
  }
  return (source) => {
    const bytes = plainAddressBytes(source);
    return (bytes === undefined ? undefined : index.get(prefixKey(bytes, bytes.length * 8))) ?? none;
  };
}

/** Returns the text with A to Z in lower case and nothing else changed, as the database compares it (collation "C"). */
const folded = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

function clientMatcher(wanted: Wanted): (client: string) => readonly number[] {
  const parts = wanted.map(([value, place]) => [folded(value), place] as const);
  return (client) => {
    const whole = folded(client);
    return parts.flatMap(([part, place]) => (whole.includes(part) ? [place] : none));
  };
}

function field(text: string, ...path: readonly string[]): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CofferdamError('corrupt', 'a text of an entry is not JSON', { cause });
  }
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value ?? undefined;
}

/**
 * Yields the SHA-256 of a file, and the fingerprint of an operator's key: of the certificate that was used, or of the
 * key that a change names.
 */
function* digestsOf({ publicText, sensitiveText, operator }: ArchivedEntry): Generator<string> {
  const ofFile = publicText.includes('"sha256"') ? field(publicText, 'sha256') : undefined;
  if (typeof ofFile === 'string') yield ofFile;
  if (operator === null || !sensitiveText.includes('"fingerprint"')) return;
  const ofKey = field(sensitiveText, 'certificate', 'fingerprint') ?? field(sensitiveText, 'fingerprint');
  if (typeof ofKey === 'string' && ofKey !== ofFile) yield ofKey;
}

/**
 * Returns a matcher for these indicators. `accounts` maps account names to ids; a name that is missing there never
 * matches. The matcher throws `corrupt` when it has to read a text of the entry that is not JSON.
 */
export function matcherOf(indicators: readonly Indicator[], accounts: ReadonlyMap<string, string>): Matcher {
  const of = (...types: readonly IndicatorType[]): Wanted =>
    indicators.flatMap(({ type, value }, place) => (types.includes(type) ? [[value, place] as const] : []));
  const indexed = (wanted: Wanted, keyOf: (value: string) => string | undefined = (value) => value): Index => {
    const index: Index = new Map();
    for (const [value, place] of wanted) {
      const key = keyOf(value);
      if (key !== undefined) put(index, key, place);
    }
    return index;
  };
  const credentials = indexed(of('fingerprint'));
  const digests = indexed(of('sha256'));
  const ids = indexed(of('account'), (name) => accounts.get(name));
  const nets = netsOf(of('address', 'network'));
  const bySource = remembering(networkMatcher(nets));
  const byStrangers = remembering(strangersMatcher(nets));
  const clients = of('client');
  const byClient = remembering(clientMatcher(clients));
  return (entry) => {
    const { kind, credential, alsoCredential, source, client, account, session } = entry;
    const found: (readonly number[])[] = [];
    if (credential !== null) found.push(credentials.get(credential) ?? none);
    if (alsoCredential !== null && alsoCredential !== credential) found.push(credentials.get(alsoCredential) ?? none);
    if (source !== null && nets.length > 0) {
      found.push(bySource(source));
      if (kind === 'login.strangers') found.push(byStrangers(source));
    }
    if (client !== null && clients.length > 0) found.push(byClient(client));
    if (digests.size > 0) for (const digest of digestsOf(entry)) found.push(digests.get(digest) ?? none);
    if (account !== null && (session === null || kind === 'session.opened')) found.push(ids.get(account) ?? none);
    return found.flat();
  };
}
