// Owns: what code that only uses certificates and revocation lists must know of them: ends, numbers and serials. It
// uses no package.
// Must never: return anything of a revocation list whose signature was not verified.
import { verify, X509Certificate } from 'node:crypto';
import { CofferdamError } from '../server/domain/errors.ts';

type RevocationList = {
  readonly number: number;
  readonly nextUpdate: Date;
  /** The serial numbers, in the form of `plainSerial`. */
  readonly revoked: ReadonlySet<string>;
};
/** An authority and its newest revocation list. */
export type Trusted = { readonly authority: X509Certificate; readonly list: RevocationList };
type Element = { readonly tag: number; readonly body: Buffer; readonly whole: Buffer };

const dayMs = 86_400_000;
const tags = {
  integer: 0x02,
  bits: 0x03,
  oid: 0x06,
  sequence: 0x30,
  utcTime: 0x17,
  generalizedTime: 0x18,
  extensions: 0xa0,
} as const;
/**
 * The accepted signature algorithms: the DER of the OID in hexadecimal, and the digest that `verify` needs. An
 * authority that was created elsewhere may use any of them.
 */
const digests: Readonly<Record<string, string | null>> = {
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2b6570': null,
};
/** The OID 2.5.29.20 (CRL number). */
const crlNumberOid = '551d14';

/** Returns the canonical form of a serial number: lower case, no leading zeros, no colons. */
export function plainSerial(serial: string): string {
  return serial
    .replaceAll(':', '')
    .toLowerCase()
    .replace(/^0+(?=.)/, '');
}

/** Returns the number of whole days until `end`, rounded down. It is negative when `end` has passed. */
export function daysLeft(end: Date, now: Date = new Date()): number {
  return Math.floor((end.getTime() - now.getTime()) / dayMs);
}

/** Yields the elements of a DER encoding, one after the other (X.690 section 8.1). */
function* elements(der: Buffer): Generator<Element> {
  let at = 0;
  while (at < der.length) {
    const tag = der[at] ?? 0;
    const first = der[at + 1];
    if (first === undefined || (tag & 0x1f) === 0x1f) throw new RangeError('DER is cut off');
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80 || lengthBytes > 4) throw new RangeError('DER length');
    const start = at + 2 + lengthBytes;
    const length = lengthBytes === 0 ? first : Number.parseInt(der.subarray(at + 2, start).toString('hex'), 16);
    if (!(start + length <= der.length)) throw new RangeError('DER is cut off');
    yield { tag, body: der.subarray(start, start + length), whole: der.subarray(at, start + length) };
    at = start + length;
  }
}

function expect(element: Element | undefined, tag: number): Element {
  if (element?.tag !== tag) throw new RangeError('DER is of another form');
  return element;
}

/** Parses a UTCTime or a GeneralizedTime in the form that RFC 5280 section 4.1.2.5 requires. */
function timeOf(element: Element | undefined): Date {
  const text = element?.body.toString('latin1') ?? '';
  const match = element?.tag === tags.utcTime ? /^(\d{2})(\d{10})Z$/.exec(text) : /^(\d{4})(\d{10})Z$/.exec(text);
  if (match === null || (element?.tag !== tags.utcTime && element?.tag !== tags.generalizedTime))
    throw new RangeError('DER time');
  const short = Number(match[1]);
  const year = element.tag === tags.generalizedTime ? short : short < 50 ? 2000 + short : 1900 + short;
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = (match[2]?.match(/\d\d/g) ?? []).map(Number);
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second));
}

const isTime = (element: Element | undefined): boolean =>
  element?.tag === tags.utcTime || element?.tag === tags.generalizedTime;

function numberOf(extensions: Element | undefined): number {
  if (extensions === undefined) return 0;
  for (const list of elements(extensions.body))
    for (const extension of elements(list.body)) {
      const parts = [...elements(extension.body)];
      if (expect(parts[0], tags.oid).body.toString('hex') !== crlNumberOid) continue;
      const [value] = elements(parts.at(-1)?.body ?? Buffer.alloc(0));
      const number = Number.parseInt(expect(value, tags.integer).body.toString('hex'), 16);
      if (!Number.isSafeInteger(number)) throw new RangeError('number');
      return number;
    }
  return 0;
}

type Parsed = {
  readonly list: RevocationList;
  readonly signed: Buffer;
  readonly digest: string | null;
  readonly signature: Buffer;
};

function parse(der: Buffer): Parsed {
  const [whole, ...rest] = elements(der);
  if (rest.length > 0) throw new RangeError('something follows');
  const [signed, algorithm, signature] = elements(expect(whole, tags.sequence).body);
  const [oid] = elements(expect(algorithm, tags.sequence).body);
  const digest = digests[expect(oid, tags.oid).body.toString('hex')];
  if (digest === undefined) throw new RangeError('signature algorithm');
  const fields = [...elements(expect(signed, tags.sequence).body)];
  // The fields are: an optional version (an INTEGER), the algorithm, the issuer, and the time of this update.
  const at = fields[0]?.tag === tags.integer ? 4 : 3;
  const nextUpdate = timeOf(fields[at]);
  const entries = fields.slice(at + 1).find((one) => one.tag === tags.sequence);
  const revoked = new Set<string>();
  for (const entry of entries === undefined ? [] : elements(entries.body)) {
    const [serial, revokedAt] = elements(expect(entry, tags.sequence).body);
    if (!isTime(revokedAt)) throw new RangeError('DER is of another form');
    revoked.add(plainSerial(expect(serial, tags.integer).body.toString('hex')));
  }
  const bits = expect(signature, tags.bits).body;
  const number = numberOf(fields.find((one) => one.tag === tags.extensions));
  return {
    list: { number, nextUpdate, revoked },
    signed: signed?.whole ?? Buffer.alloc(0),
    digest,
    signature: bits.subarray(1),
  };
}

const blocks = (pem: string, label: string): readonly string[] =>
  [...pem.matchAll(new RegExp(`-----BEGIN ${label}-----[A-Za-z0-9+/=\\s]+-----END ${label}-----`, 'g'))].map(
    (match) => match[0],
  );

export const certificatesIn = (pem: string): readonly string[] => blocks(pem, 'CERTIFICATE');
export const revocationListsIn = (pem: string): readonly string[] => blocks(pem, 'X509 CRL');

/**
 * Returns each authority with its revocation list. During a change of authorities there are two of each. Throws
 * `invalid` when an authority has no list, or a list has no authority.
 */
export function readTrusted(authorities: string, lists: string): readonly Trusted[] {
  const pems = certificatesIn(authorities);
  if (pems.length === 0) throw new CofferdamError('invalid', 'there is no certificate of an authority');
  const given = revocationListsIn(lists);
  const trusted = pems.map((pem): Trusted => {
    const authority = new X509Certificate(pem);
    const own = given.flatMap((list) => (isSignedBy(list, pem) ? [readRevocationList(list, pem)] : []));
    const list = own.reduce<RevocationList | undefined>(
      (newest, one) => (newest === undefined || one.number > newest.number ? one : newest),
      undefined,
    );
    if (list === undefined)
      throw new CofferdamError('invalid', `there is no revocation list of the authority ${authority.subject}`);
    return { authority, list };
  });
  if (given.some((list) => !pems.some((pem) => isSignedBy(list, pem))))
    throw new CofferdamError('invalid', 'a revocation list is not signed by an authority beside it');
  return trusted;
}

function isSignedBy(list: string, authorityPem: string): boolean {
  try {
    readRevocationList(list, authorityPem);
    return true;
  } catch (error) {
    if (error instanceof CofferdamError && error.message.includes('not signed')) return false;
    throw error;
  }
}

/** Returns a revocation list in PEM after verifying its authority's signature. Throws `invalid`. */
export function readRevocationList(pem: string, authorityPem: string): RevocationList {
  const match = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/.exec(pem);
  let parsed: Parsed;
  try {
    parsed = parse(Buffer.from((match?.[1] ?? '').replace(/\s/g, ''), 'base64'));
  } catch (cause) {
    throw new CofferdamError('invalid', 'this is not a revocation list in PEM', { cause });
  }
  const { publicKey } = new X509Certificate(authorityPem);
  if (!verify(parsed.digest, parsed.signed, publicKey, parsed.signature))
    throw new CofferdamError('invalid', 'the revocation list is not signed by this authority');
  return parsed.list;
}
