// Owns: `cofferctl credential rotate`.
import type { Client } from '../connection/client.ts';
import { inputText } from '../terminal/input-file.ts';
import { nextLine } from '../terminal/next-line.ts';
import { plain } from '../terminal/output.ts';
import { changingVerb, type Proposed, perform, withExecute } from '../verb/change.ts';
import { type Given, wholeNumber } from '../verb/verb.ts';
import { planText, selectionOf, selectionOptions } from './selection.ts';

type NewKey = { readonly account: string; readonly publicKey: string };
type Refused = { readonly account: string; readonly why: string };

const chunk = 100;
/** How many accounts without a new key a plan names. */
const namesMax = 20;

/**
 * Reads lines of the form `ACCOUNT ssh-ed25519 AAAA… comment`. Empty lines and lines that begin with # are skipped.
 */
function readKeys(file: string | undefined): readonly NewKey[] {
  if (file === undefined) return [];
  return inputText(file)
    .split('\n')
    .map((line, i) => ({ line: line.trim(), number: i + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
    .map(({ line, number }) => {
      const match = /^([a-z0-9][a-z0-9._-]{0,63}) (\S+ \S+.*)$/.exec(line);
      if (match === null) throw new RangeError(`${file}, line ${number}: expected an account and its new public key`);
      return { account: match[1] ?? '', publicKey: match[2] ?? '' };
    });
}

type Advanced = {
  /** How many planned keys had their overlap begun. */
  readonly opened: number;
  /** How many new keys were registered. */
  readonly staged: number;
  readonly refused: readonly Refused[];
  /** New keys that wait for a second operator, a hundred in each change. */
  readonly proposed: readonly Proposed[];
};

/**
 * Begins the overlap of every planned key, then registers the new keys, at most 100 per call. An interrupted rotation
 * is continued with --resume.
 */
async function advance(client: Client, rotation: string, keys: readonly NewKey[], given: Given): Promise<Advanced> {
  let opened = 0;
  let staged = 0;
  const refused: Refused[] = [];
  const proposed: Proposed[] = [];
  const show = (text: string): void => {
    if (given.isTerminal) process.stderr.write(`\r\u001b[K${text}`);
  };
  for (let remaining = 1; remaining > 0; ) {
    const done = await client.call('rotation.advance', { rotation, keys: [] });
    opened += done.opened;
    remaining = done.remaining;
    show(`overlap begun for ${opened} keys, ${remaining} to go`);
  }
  for (let at = 0; at < keys.length; at += chunk) {
    const done = await perform(client, given, 'rotation.advance', { rotation, keys: keys.slice(at, at + chunk) });
    if (done.proposed !== null) proposed.push(done.proposed);
    else {
      staged += done.result.staged;
      refused.push(...done.result.refused);
    }
    show(`${Math.min(keys.length, at + chunk)} of ${keys.length} new keys sent`);
  }
  show('');
  return { opened, staged, refused, proposed };
}

/**
 * Returns the line about accounts without a new key; empty when there is none. `more` says that the plan lists a part.
 */
function askedText(accounts: readonly string[], more: boolean): string {
  if (accounts.length === 0) return '';
  const others = accounts.length > namesMax ? ` and ${accounts.length - namesMax} more` : '';
  const where = more ? ' among the credentials listed here' : '';
  return `no new key is given for ${accounts.slice(0, namesMax).join(', ')}${others}${where}: their contacts are asked for one\n`;
}

export const credentialRotate = changingVerb(
  {
    words: ['credential', 'rotate'],
    options: [
      ...selectionOptions,
      {
        name: 'keys',
        value: 'FILE',
        help: 'new public keys, a line each: ACCOUNT ssh-ed25519 AAAA…; - for standard input',
      },
      { name: 'overlap', value: 'DAYS', help: 'for how many days old and new are both good (default 14)' },
      { name: 'reason', value: 'TEXT', help: 'why; goes on the record' },
      {
        name: 'resume',
        value: 'ROTATION',
        help: 'go on with a rotation that was interrupted, or register more keys for it',
      },
    ],
    help: 'Replaces keys with an overlap: the old ones retire when it ends, new ones come from --keys, `key add` or the customers themselves.',
    example:
      'cofferctl credential rotate --stale-before 2026-01-01 --keys new-keys.txt --reason "yearly rotation" --execute',
  },
  ['rotation.start', 'rotation.advance', 'rotation.show', 'credential.plan'],
  async (client, given) => {
    const keys = readKeys(given.options.keys);
    const overlapDays = wholeNumber(given, 'overlap') ?? 14;
    const { resume, execute, reason } = given.options;
    let rotation = resume;
    let keysOf: number | undefined;
    if (rotation === undefined) {
      const selection = selectionOf(given);
      const plan = await client.call('credential.plan', { selection, what: 'rotate' });
      if (execute === undefined) {
        const named = new Set(keys.map((one) => one.account));
        const accounts = plan.credentials.map((one) => one.account).filter((account) => !named.has(account));
        const withoutNewKey = [...new Set(accounts)];
        return {
          data: { ...plan, executed: false, withoutNewKey },
          text: `${askedText(withoutNewKey, plan.more)}${planText(plan, `retired ${overlapDays} days from now`, withExecute(given))}`,
        };
      }
      if (reason === undefined) throw new RangeError('--reason is missing: it goes on the record');
      const started = await client.call('rotation.start', { selection, overlapDays, reason });
      rotation = started.rotation;
      keysOf = started.keys;
    } else {
      const ignored = [...selectionOptions.map(({ name }) => name), 'overlap', 'reason'].filter(
        (name) => given.options[name] !== undefined,
      );
      if (ignored.length > 0)
        throw new RangeError(
          `--resume continues a rotation as it was planned: leave out ${ignored.map((name) => `--${name}`).join(', ')}`,
        );
      if (execute === undefined) throw new RangeError('--resume makes changes: add --execute');
    }
    const done = await advance(client, rotation, keys, given);
    keysOf ??= (await client.call('rotation.show', { rotation })).rotation.keys;
    const refused = done.refused.map((one) => `  ${one.account}: ${plain(one.why)}`);
    return {
      data: { rotation, keys: keysOf, ...done, executed: true },
      text: [
        `rotation ${rotation}: ${done.opened} old keys retire after the overlap, ${done.staged} new keys registered`,
        ...done.proposed.map(
          (one) =>
            `new keys wait for a second operator: cofferctl change approve ${one.change} --hash ${one.hash} --execute`,
        ),
        ...(refused.length === 0 ? [] : ['not registered:', ...refused]),
        `see who has moved: ${nextLine(given, `rotation show ${rotation}`)}`,
        `take it back:      ${nextLine(given, `rotation undo ${rotation} --reason TEXT`)}`,
        '',
      ].join('\n'),
      isFault: done.refused.length > 0,
    };
  },
);
