// Owns: an entry of the record as one syslog message (RFC 5424 with structured data, or CEF behind an RFC 5424 header),
// and its frame on a stream.
// Must never: let the text of a field end its field, its element or its line, or shorten a value without naming the
// field that was cut.
import { entryKinds } from './entry-kinds.ts';
import type { PlacedEntry } from './leaf.ts';

/**
 * An entry with the names of its customer and account from the catalogue, and its leaf hash in hexadecimal, by which a
 * receiver recognises a repeated message.
 */
export type ForwardedEntry = PlacedEntry & {
  readonly customerName: string | null;
  readonly accountName: string | null;
  readonly leaf: string;
};
type SyslogFormat = 'rfc5424' | 'cef';
export type SyslogSource = { readonly hostname: string; readonly version: string };
type Field = readonly [name: string, value: string];

/** Facility 13 (log audit) of RFC 5424 section 6.2.1. */
const facility = 13;
/**
 * The largest length of a value, in bytes of UTF-8. A longer value is cut and ends with an ellipsis, and the message
 * names the field.
 */
export const fieldBytesMax = 8192;
/**
 * The largest length of a value in a message that would otherwise exceed `messageBytesMax`, because receivers commonly
 * accept 64 KiB.
 */
const fieldBytesNarrow = 1024;
const messageBytesMax = 60_000;
/** 32473 is the enterprise number that RFC 5612 reserves for documentation. */
const elementId = 'cofferdam@32473';

const encoder = new TextEncoder();
export const bytesOf = (text: string): number => encoder.encode(text).length;

const loud = new Set([
  'ledger.frozen',
  'row.broken-seal',
  'self-test.failed',
  'break-glass.opened',
  'break-glass.used',
  'database.changed',
]);
const noticed =
  /\.(?:refused|strangers|suspended|locked|revoked|expired|interrupted|repeated-content|released)$|^break-glass\./;

/** Returns the severity of RFC 5424 table 2: 2 critical, 4 warning, 6 informational. */
export const severityOf = (kind: string): 2 | 4 | 6 => (loud.has(kind) ? 2 : noticed.test(kind) ? 4 : 6);

/**
 * Replaces control characters so that no value can end a line: those of ASCII become their pictures (U+2400 and
 * following), those from U+0080 to U+009F and lone surrogates become U+FFFD.
 */
const visible = (text: string): string =>
  text.toWellFormed().replace(/\p{Cc}/gu, (one) => {
    const code = one.charCodeAt(0);
    return code > 0x7f ? '\ufffd' : code === 0x7f ? '\u2421' : String.fromCharCode(0x2400 + code);
  });

/**
 * Returns at most `max` bytes of UTF-8, in whole characters. A shortened text ends with an ellipsis, which is included
 * in the limit.
 */
export function shorten(text: string, max: number): { readonly text: string; readonly isCut: boolean } {
  const bytes = encoder.encode(text);
  if (bytes.length <= max) return { text, isCut: false };
  let end = Math.max(0, max - 3);
  // The first byte begins a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return { text: `${new TextDecoder().decode(bytes.subarray(0, end))}\u2026`, isCut: true };
}

/** Returns an instant, given in microseconds since 1970, as `2026-11-24T18:00:00.123456Z`. */
export function timestamp(micros: number): string {
  const ms = Math.floor(micros / 1000);
  return `${new Date(ms).toISOString().slice(0, -1)}${String(micros - ms * 1000).padStart(3, '0')}Z`;
}

const columnsOf = (e: ForwardedEntry): readonly (readonly [string, string | number | null])[] => [
  ['number', e.number],
  ['leaf', e.leaf],
  ['tree', e.tree],
  ['position', e.position],
  ['kind', e.kind],
  ['observer', e.observer],
  ['customer', e.customer],
  ['customerName', e.customerName],
  ['account', e.account],
  ['accountName', e.accountName],
  ['session', e.session],
  ['node', e.node],
  ['plane', e.plane],
  ['handle', e.handle],
  ['version', e.version],
  ['extent', e.extent],
  ['bytes', e.bytes],
  ['credential', e.credential],
  ['alsoCredential', e.alsoCredential],
  ['source', e.source],
  ['sourcePort', e.sourcePort],
  ['client', e.client],
  ['operator', e.operator],
];

/** Returns the fields of one class from its JSON. Nested values stay JSON. */
function classFields(prefix: string, json: string): readonly Field[] {
  const parsed: unknown = JSON.parse(json);
  if (typeof parsed !== 'object' || parsed === null) return [];
  return Object.entries(parsed).map(
    ([name, value]): Field => [`${prefix}.${name}`, typeof value === 'string' ? value : JSON.stringify(value)],
  );
}

/**
 * Returns all fields of an entry in a fixed order, without those that are null. The last field, `cut`, names the fields
 * that were shortened.
 */
function fieldsOf(entry: ForwardedEntry, max: number): readonly Field[] {
  const given: readonly Field[] = [
    ...columnsOf(entry).flatMap(([name, value]): readonly Field[] => (value === null ? [] : [[name, String(value)]])),
    ...classFields('public', entry.publicText),
    ...classFields('sensitive', entry.sensitiveText),
  ];
  const cut: string[] = [];
  const fitting = given.map(([name, value]): Field => {
    const { text, isCut } = shorten(value, max);
    if (isCut) cut.push(name);
    return [name, text];
  });
  return cut.length === 0 ? fitting : [...fitting, ['cut', cut.join(',')]];
}

/** Returns one parameter of structured data. RFC 5424 section 6.3.3: `"`, `\` and `]` are escaped, and nothing else. */
const parameter = ([name, value]: Field): string => `${name}="${visible(value).replace(/["\\\]]/g, '\\$&')}"`;

/**
 * Returns a word of the header, which is printable ASCII without spaces, or the nil value `-` for any other text
 * (sections 6.2.4, 6.2.7).
 */
const headerWord = (text: string, max: number): string => (text.length <= max && /^[!-~]+$/.test(text) ? text : '-');

const header = (
  micros: number,
  { hostname }: Pick<SyslogSource, 'hostname'>,
  severity: number,
  messageId: string,
): string =>
  `<${facility * 8 + severity}>1 ${timestamp(micros)} ${headerWord(hostname, 255)} cofferdam - ${headerWord(messageId, 32)}`;

const saysOf = (kind: string): string =>
  Object.hasOwn(entryKinds, kind) ? entryKinds[kind as keyof typeof entryKinds].says : kind;

/** Puts the byte order mark in front of a message with characters outside ASCII (section 6.4). */
const marked = (text: string): string => (/^[ -~]*$/.test(text) ? text : `\ufeff${text}`);

function rfc5424(entry: ForwardedEntry, source: SyslogSource, max: number): string {
  const fields = fieldsOf(entry, max);
  const path = fields.find(([name]) => name === 'public.path')?.[1];
  const whose = [entry.accountName, entry.customerName].filter((name) => name !== null).join(' of ');
  const text = [saysOf(entry.kind), ...(whose === '' ? [] : [whose]), ...(path === undefined ? [] : [path])].join('; ');
  const element = `[${elementId} ${fields.map(parameter).join(' ')}]`;
  return `${header(entry.at, source, severityOf(entry.kind), entry.kind)} ${element} ${marked(visible(text))}`;
}

/** The header of CEF escapes `|` and `\`; the extension escapes `=` and `\`, and writes line ends as \n and \r. */
const cefHeader = (text: string): string => visible(text).replace(/[|\\]/g, '\\$&');
const cefLine = (text: string): string => visible(text).replace(/[=\\]/g, '\\$&');
const cefValue = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.split('\r').map(cefLine).join('\\r'))
    .join('\\n');

const cefKeys: Readonly<Record<string, string>> = {
  number: 'externalId',
  kind: 'act',
  source: 'src',
  sourcePort: 'spt',
  accountName: 'suser',
  account: 'suid',
  node: 'dvchost',
  bytes: 'fsize',
  client: 'requestClientApplication',
  'public.path': 'fname',
  'public.sha256': 'fileHash',
  'public.reason': 'reason',
};
/** CEF's custom keys (cs1 to cs6, cn1), each of which is sent with a label. */
const cefLabelled: readonly (readonly [name: string, key: string])[] = [
  ['customerName', 'cs1'],
  ['session', 'cs2'],
  ['credential', 'cs3'],
  ['version', 'cs4'],
  ['operator', 'cs5'],
  ['plane', 'cs6'],
  ['extent', 'cn1'],
];
const cefSeverity = { 2: 10, 4: 6, 6: 3 } as const;

/** Returns a key of our own for a field for which CEF has none, such as cofferdamPublicFolder. */
const ownKey = (name: string): string =>
  `cofferdam${name.replaceAll('-', '').replace(/(?:^|\.)(.)/g, (_, letter: string) => letter.toUpperCase())}`;

function cef(entry: ForwardedEntry, source: SyslogSource, max: number): string {
  const severity = severityOf(entry.kind);
  const labelled = new Map(cefLabelled);
  const pairs = fieldsOf(entry, max).flatMap(([name, value]): readonly Field[] => {
    const key = labelled.get(name);
    if (key !== undefined)
      return [
        [key, value],
        [`${key}Label`, name],
      ];
    return [[cefKeys[name] ?? ownKey(name), value]];
  });
  const extension = [['rt', String(Math.floor(entry.at / 1000))] as const, ...pairs]
    .map(([key, value]) => `${key}=${cefValue(value)}`)
    .join(' ');
  const head = ['Cofferdam', 'Cofferdam', source.version, entry.kind, saysOf(entry.kind)].map(cefHeader).join('|');
  return `${header(entry.at, source, severity, entry.kind)} - CEF:0|${head}|${cefSeverity[severity]}|${extension}`;
}

/** Returns the whole message, without a frame and without a line end. */
export function syslogMessage(format: SyslogFormat, entry: ForwardedEntry, source: SyslogSource): string {
  const write = format === 'cef' ? cef : rfc5424;
  const message = write(entry, source, fieldBytesMax);
  return bytesOf(message) <= messageBytesMax ? message : write(entry, source, fieldBytesNarrow);
}

/**
 * Returns a signed checkpoint as a message, for a witness that reads syslog. Its lines are in one parameter, with \n
 * between them.
 */
export function syslogCheckpoint(note: string, micros: number, source: Pick<SyslogSource, 'hostname'>): string {
  const lines = parameter(['note', note.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')]);
  return `${header(micros, source, 6, 'ledger.checkpoint')} [${elementId} ${lines}] a signed checkpoint of the record`;
}

/**
 * Returns a message with its frame. `octets` is octet counting (RFC 6587 section 3.4.1, RFC 5425); `lines` is for
 * stream sockets of this machine.
 */
export function framed(message: string, framing: 'octets' | 'lines'): Uint8Array {
  return encoder.encode(framing === 'octets' ? `${bytesOf(message)} ${message}` : `${message}\n`);
}
