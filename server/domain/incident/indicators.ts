// Owns: indicators of compromise as partners and authorities list them in files: their types, their forms, and one
// canonical spelling of each value.
// Must never: guess between two meanings. A value whose form does not show its type needs the type beside it.
import { canonicalAddress, parseNetwork } from '../addresses.ts';
import { isValidAccountName } from '../paths.ts';

export const indicatorTypes = ['address', 'network', 'fingerprint', 'client', 'sha256', 'account'] as const;
export type IndicatorType = (typeof indicatorTypes)[number];
export type Indicator = { readonly type: IndicatorType; readonly value: string };
export type ListedIndicator = Indicator & { readonly line: number; readonly note: string | null };
type IndicatorFault = { readonly line: number; readonly text: string };
export const indicatorsMax = 10_000;

const clientMax = 255;
const isAddress = (text: string): boolean => canonicalAddress(text) !== '' && !text.includes('%');
/**
 * An IPv4 network in IPv6 spelling (::ffff:a.b.c.d/N) is refused, because it is unclear whether its length counts bits
 * of IPv4 or of IPv6.
 */
function isNetwork(text: string): boolean {
  const network = text.includes('/') && !text.includes('%') ? parseNetwork(text) : undefined;
  return network !== undefined && text.includes(':') === (network.bytes.length === 16);
}
const isFingerprint = (text: string): boolean => /^(?:SHA256:[A-Za-z0-9+/]{43}|password:[a-z2-7]{8})$/.test(text);
const isSha256 = (text: string): boolean => /^[0-9a-fA-F]{64}$/.test(text);

/**
 * Returns the canonical spelling of a value of this type, or undefined when the value does not have the form of the
 * type.
 */
function spelled(type: IndicatorType, text: string): string | undefined {
  switch (type) {
    case 'address':
      return isAddress(text) ? canonicalAddress(text) : undefined;
    case 'network':
      return isNetwork(text) ? text.toLowerCase() : isAddress(text) ? canonicalAddress(text) : undefined;
    case 'fingerprint': {
      // The canonical form is that of OpenSSH, which prints no padding.
      const plain = text.replace(/^sha256:/i, 'SHA256:').replace(/=$/, '');
      return isFingerprint(plain) ? plain : undefined;
    }
    case 'client':
      return text !== '' && text.length <= clientMax ? text : undefined;
    case 'sha256':
      return isSha256(text) ? text.toLowerCase() : undefined;
    case 'account':
      return isValidAccountName(text) ? text : undefined;
    default:
      return type satisfies never;
  }
}

const examples: Readonly<Record<IndicatorType, string>> = {
  address: '198.51.100.7 or 2001:db8::7',
  network: '198.51.100.0/24',
  fingerprint: 'SHA256: and 43 characters, or password: and 8',
  client: `at most ${clientMax} characters of a client's identification`,
  sha256: '64 hexadecimal digits',
  account: 'a name such as acme-batch',
};

/** Returns the indicator that a value without a type must be, judged by its form, or undefined. */
function recognised(text: string): Indicator | undefined {
  const plain = spelled('fingerprint', text);
  if (plain !== undefined) return { type: 'fingerprint', value: plain };
  if (isNetwork(text)) return { type: 'network', value: text.toLowerCase() };
  if (isAddress(text)) return { type: 'address', value: canonicalAddress(text) };
  if (isSha256(text)) return { type: 'sha256', value: text.toLowerCase() };
  if (/^SSH-[0-9.]+-/.test(text) && text.length <= clientMax) return { type: 'client', value: text };
  return undefined;
}

/** Returns the cells of one line of CSV, or undefined when a quote is not closed. */
function cellsOf(line: string): readonly string[] | undefined {
  const cells: string[] = [];
  for (let rest = line; ; ) {
    const quoted = /^\s*"((?:[^"]|"")*)"\s*(,|$)/.exec(rest);
    const match = quoted ?? /^([^,"]*)(,|$)/.exec(rest);
    if (match === null) return undefined;
    cells.push(quoted === null ? (match[1] ?? '').trim() : (match[1] ?? '').replaceAll('""', '"'));
    if (match[2] === '') return cells;
    rest = rest.slice(match[0].length);
  }
}

function indicatorOf(cells: readonly string[], hasTypes: boolean): Indicator | string {
  const [first = '', second] = cells;
  if (!hasTypes) {
    const found = recognised(first);
    return found ?? `"${first}" cannot be recognised by its form: write it as type,value below the header type,value`;
  }
  const type = indicatorTypes.find((one) => one === first.toLowerCase());
  if (type === undefined) return `"${first}" is no type: ${indicatorTypes.join(', ')}`;
  const value = spelled(type, second ?? '');
  return value === undefined ? `"${second ?? ''}" is no ${type}: ${examples[type]}` : { type, value };
}

/**
 * Parses a whole file: lines of `type,value[,note]` below that header, or bare values. Lines that begin with # are
 * comments. All faults are returned together.
 */
export function parseIndicators(text: string): {
  readonly indicators: readonly ListedIndicator[];
  readonly faults: readonly IndicatorFault[];
} {
  const indicators: ListedIndicator[] = [];
  const faults: IndicatorFault[] = [];
  let hasTypes: boolean | undefined;
  for (const [i, raw] of text
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = i + 1;
    const plain = raw.trim();
    if (plain === '' || plain.startsWith('#')) continue;
    const cells = cellsOf(plain);
    if (cells === undefined) {
      faults.push({ line, text: 'a quote is not closed' });
      continue;
    }
    if (hasTypes === undefined) {
      hasTypes = cells[0]?.toLowerCase() === 'type' && cells[1]?.toLowerCase() === 'value';
      if (hasTypes) continue;
    }
    const found = indicatorOf(cells, hasTypes);
    if (typeof found === 'string') faults.push({ line, text: found });
    else indicators.push({ ...found, line, note: (hasTypes ? cells[2] : cells[1]) || null });
  }
  if (indicators.length > indicatorsMax)
    faults.push({ line: indicators[indicatorsMax]?.line ?? 0, text: `more than ${indicatorsMax} indicators` });
  return { indicators, faults };
}
