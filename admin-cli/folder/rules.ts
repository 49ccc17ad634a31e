// Owns: the options for the rules of a folder, and the rules in words.
import type { Params, Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import { type Given, type Option, only, wholeNumber, yesNo } from '../verb/verb.ts';

type Rules = Omit<Params<OperatorToAdmin, 'folder.set'>, 'customer' | 'folder' | 'reason'>;
const publishRules = ['on-close', 'on-rename', 'on-marker'] as const;

export const ruleOptions: readonly Option[] = [
  {
    name: 'publish',
    value: 'on-close|on-rename|on-marker',
    help: 'when a closed file is delivered: when it has settled; at once when renamed from a temporary name; when its marker comes',
  },
  { name: 'marker', value: 'ENDING', help: 'for on-marker: the ending of the empty file that delivers, such as .done' },
  { name: 'settle-seconds', value: 'N', help: 'how long a closed file may still be continued before it is delivered' },
  { name: 'replace', value: 'yes|no', help: 'whether a new file may be put onto a delivered name' },
  { name: 'directories', value: 'yes|no', help: 'whether directories may be made in it' },
  { name: 'window-days', value: 'N', help: 'a version leaves its folder so many days after publication (or none)' },
  { name: 'reads', value: 'N', help: 'or after so many complete reads by the customer (or none)' },
  { name: 'retention-days', value: 'N', help: 'its key is destroyed so many days after publication (or none)' },
];

/** Returns the number of days or reads that an option gives, null for `none`, and undefined when it was not given. */
function numberOrNone(given: Given, name: string): number | null | undefined {
  const text = given.options[name];
  if (text === undefined) return undefined;
  if (text === 'none') return null;
  if (!/^\d{1,5}$/.test(text)) throw new RangeError(`--${name} takes a whole number or none, not "${text}"`);
  return Number(text);
}

/** Returns the rules that were given. Throws a RangeError for a wrong one. */
export function rulesOf(given: Given): Rules {
  const { publish, marker } = given.options;
  const rule = publishRules.find((one) => one === publish);
  if (publish !== undefined && rule === undefined)
    throw new RangeError(`--publish is ${publishRules.join(', ')}, not "${publish}"`);
  return only({
    publish: rule,
    marker,
    settleSeconds: wholeNumber(given, 'settle-seconds'),
    replace: yesNo(given, 'replace'),
    directories: yesNo(given, 'directories'),
    windowDays: numberOrNone(given, 'window-days'),
    readsMax: numberOrNone(given, 'reads'),
    retentionDays: numberOrNone(given, 'retention-days'),
  });
}

/** Returns what the rules of a folder mean, as a line. */
export function rulesText(
  rules: Omit<Result<OperatorToAdmin, 'folder.set'>, 'sessionsEnded' | 'held' | 'settling'>,
): string {
  const days = (value: number | null, none: string): string => (value === null ? none : `${value} days`);
  const settled = rules.settleSeconds === 0 ? 'at once' : `${rules.settleSeconds} s after they are closed`;
  const delivered = {
    'on-close': `files are delivered ${settled}`,
    'on-rename': `files are delivered at once when they are renamed from a temporary name, otherwise ${settled}`,
    'on-marker': `files are delivered when an empty file of their name with ${rules.marker} is put beside them`,
  }[rules.publish];
  const reads = rules.readsMax === null ? '' : ` or for ${rules.readsMax} complete reads`;
  return [
    delivered ?? rules.publish,
    `a delivered name may ${rules.replace ? '' : 'not '}be replaced`,
    `directories may ${rules.directories ? '' : 'not '}be made`,
    `versions stay visible ${days(rules.windowDays, 'until they are removed')}${reads}`,
    `keys are kept ${days(rules.retentionDays, 'for ever')}`,
  ].join('; ');
}
