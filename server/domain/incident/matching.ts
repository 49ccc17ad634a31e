// Owns: whether indicators occur in one entry. The rules are those of the SQL that searches the database
// (server/admin/incident/hunt-queries.ts), applied to entries in archives.
// Must never: depend on anything but the indicators and the entry.
import { plainAddressBytes } from '../addresses.ts';
import { CofferdamError } from '../errors.ts';
import type { ArchivedEntry } from '../ledger/archive-line.ts';
import type { Indicator, IndicatorType } from './indicators.ts';
import { remembering } from './remembering.ts';

/**
 * Returns the indicators that occur in an entry, as positions in the list of indicators. Each position occurs at most
 * once.
 */
type Matcher = (entry: ArchivedEntry) => readonly number[];

type Index = Map<string, number[]>;
const none: readonly number[] = [];
const strangersBits = 64;
function put(index: Index, key: string, position: number): void {
  const positions = index.get(key);
  if (positions === undefined) index.set(key, [position]);
  else positions.push(position);
}

/**
 * Returns a map key for the first `bits` bits of an address, with all other bits set to zero. An address of 4 bytes and
 * one of 16 bytes never have the same key.
 */
const prefixKey = (bytes: Uint8Array, bits: number): string =>
  String.fromCharCode(...bytes.map((byte, i) => byte & (0xff << (8 - Math.min(8, Math.max(0, bits - 8 * i))))));

type Wanted = readonly (readonly [value: string, position: number])[];
type Net = { readonly bytes: Uint8Array; readonly bits: number; readonly position: number };

/** Returns the networks among the indicators. A single address is treated as a network with all its bits. */
const netsOf = (wanted: Wanted): readonly Net[] =>
  wanted.flatMap(([value, position]) => {
    const [host = '', length] = value.split('/');
    const bytes = plainAddressBytes(host);
    return bytes === undefined
      ? []
      : [{ bytes, bits: length === undefined ? Number.POSITIVE_INFINITY : Number(length), position }];
  });

function networkMatcher(nets: readonly Net[]): (source: string) => readonly number[] {
  const byBits = new Map<number, Index>();
  for (const { bytes, bits, position } of nets) {
    const index = byBits.get(bits) ?? new Map();
    byBits.set(bits, index);
    put(index, prefixKey(bytes, bits), position);
  }
  return (source) => {
    const bytes = plainAddressBytes(source);
    return bytes === undefined
      ? none
      : [...byBits].flatMap(([bits, index]) => index.get(prefixKey(bytes, bits)) ?? none);
  };
}

/**
 * Entries about IPv6 strangers name a network of 64 bits, so an indicator that is narrower may have been among them. An
 * indicator that is the first address of its /64 is left out here, because the ordinary network matcher already finds
 * it.
 */
function strangersMatcher(nets: readonly Net[]): (source: string) => readonly number[] {
  const index: Index = new Map();
  for (const { bytes, bits, position } of nets) {
    const net = prefixKey(bytes, strangersBits);
    if (bits > strangersBits && net !== prefixKey(bytes, bits)) put(index, net, position);
  }
  return (source) => {
    const bytes = plainAddressBytes(source);
    return (bytes === undefined ? undefined : index.get(prefixKey(bytes, Number.POSITIVE_INFINITY))) ?? none;
  };
}

/** Returns the text with A to Z in lower case and nothing else changed, as the database compares it (collation "C"). */
const folded = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

function clientMatcher(wanted: Wanted): (client: string) => readonly number[] {
  const parts = wanted.map(([value, position]) => [folded(value), position] as const);
  return (client) => {
    const whole = folded(client);
    return parts.flatMap(([part, position]) => (whole.includes(part) ? [position] : none));
  };
}

function field(text: string, ...path: readonly string[]): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CofferdamError('corrupt', 'a text of an entry is not JSON', { cause });
  }
  for (const name of path) value = (Object(value) as Readonly<Record<string, unknown>>)[name];
  return value ?? undefined;
}

/**
 * Yields the SHA-256 of a file, and the fingerprint of an operator's key: of the certificate that was used, or of the
 * key that a change names. What is yielded may also be no text, which no indicator is.
 */
function* digestsOf({ publicText, sensitiveText, operator }: ArchivedEntry): Generator<unknown> {
  const ofFile = publicText.includes('"sha256"') ? field(publicText, 'sha256') : undefined;
  yield ofFile;
  if (operator === null || !sensitiveText.includes('"fingerprint"')) return;
  const ofKey = field(sensitiveText, 'certificate', 'fingerprint') ?? field(sensitiveText, 'fingerprint');
  if (ofKey !== ofFile) yield ofKey;
}

/**
 * Returns a matcher for these indicators. `accounts` maps account names to ids; a name that is missing there never
 * matches. The matcher throws `corrupt` when it has to read a text of the entry that is not JSON.
 */
export function matcherOf(indicators: readonly Indicator[], accounts: ReadonlyMap<string, string>): Matcher {
  const of = (...types: readonly IndicatorType[]): Wanted =>
    indicators.flatMap(({ type, value }, position) => (types.includes(type) ? [[value, position] as const] : []));
  const indexed = (wanted: Wanted, keyOf: (value: string) => string | undefined = (value) => value): Index => {
    const index: Index = new Map();
    for (const [value, position] of wanted) {
      const key = keyOf(value);
      if (key !== undefined) put(index, key, position);
    }
    return index;
  };
  /** Returns the indicators with this value. No indicator is an empty text, so what is absent finds none. */
  const at = (index: Index, key: unknown): readonly number[] => index.get(String(key ?? '')) ?? none;
  const credentials = indexed(of('fingerprint'));
  const digests = indexed(of('sha256'));
  const ids = indexed(of('account'), (name) => accounts.get(name));
  const nets = netsOf(of('address', 'network'));
  const bySource = remembering(networkMatcher(nets));
  const byStrangers = remembering(strangersMatcher(nets));
  const byClient = remembering(clientMatcher(of('client')));
  return (entry) => {
    const { kind, credential, alsoCredential, source, client, account, session } = entry;
    const found = [at(credentials, credential), bySource(source ?? ''), byClient(client ?? '')];
    if (alsoCredential !== credential) found.push(at(credentials, alsoCredential));
    if (kind === 'login.strangers') found.push(byStrangers(source ?? ''));
    if (digests.size > 0) for (const digest of digestsOf(entry)) found.push(at(digests, digest));
    if (session === null || kind === 'session.opened') found.push(at(ids, account));
    return found.flat();
  };
}
