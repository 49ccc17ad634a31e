// Owns: a file of indicators of compromise: CSV with type and value, or bare values that are known by their form.
// Must never: pass over a line that it does not understand.
import { parseNetwork } from '../server/domain/addresses.ts';
import { isValidAccountName } from '../server/domain/paths.ts';

const types = ['address', 'network', 'fingerprint', 'client', 'sha256', 'account', 'certificate'] as const;
export type Indicator = { readonly type: (typeof types)[number]; readonly value: string };
const indicatorsMax = 10_000;

/** Fields of one line of CSV (RFC 4180, without line breaks in a field). */
function fields(line: string): readonly string[] {
  return [...line.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((match) =>
    (match[1]?.replaceAll('""', '"') ?? match[2] ?? '').trim(),
  );
}

function recognised(value: string): Indicator | undefined {
  if (/^SHA256:[A-Za-z0-9+/]{43}$/.test(value) || /^password:[a-z2-7]{8}$/.test(value)) return { type: 'fingerprint', value };
  if (/^[0-9a-fA-F]{64}$/.test(value)) return { type: 'sha256', value: value.toLowerCase() };
  if (parseNetwork(value) !== undefined) return { type: value.includes('/') ? 'network' : 'address', value };
  return /^SSH-/.test(value) ? { type: 'client', value } : undefined;
}

function isFit({ type, value }: Indicator): boolean {
  if (type === 'address' || type === 'network') return parseNetwork(value) !== undefined;
  if (type === 'fingerprint') return recognised(value)?.type === 'fingerprint';
  if (type === 'sha256' || type === 'certificate') return /^[0-9a-f]{64}$/.test(value);
  return type === 'account' ? isValidAccountName(value) : value.length >= 3 && value.length <= 255;
}

/** Throws a RangeError that names the line and what is wrong with it. */
export function parseIndicators(text: string): readonly Indicator[] {
  const found: Indicator[] = [];
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || /^type\s*,\s*value\b/i.test(line)) continue;
    const [first = '', second = ''] = fields(line);
    const type = types.find((one) => one === first.toLowerCase());
    const value = type === 'sha256' || type === 'certificate' ? second.toLowerCase() : second;
    const indicator = type === undefined ? recognised(first) : { type, value };
    if (indicator === undefined || !isFit(indicator))
      throw new RangeError(`line ${i + 1} is no indicator: "${line.slice(0, 80)}"; expected type,value with a type of ${types.join(', ')}`);
    found.push(indicator);
  }
  if (found.length === 0) throw new RangeError('the file holds no indicator');
  if (found.length > indicatorsMax) throw new RangeError(`the file holds ${found.length} indicators, ${indicatorsMax} at most`);
  return found;
}
