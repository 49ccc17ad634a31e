import { CofferdamError } from '../../server/domain/errors.ts';
import { documentHash, isSignedBy, parseProposal, publicKeyFingerprint } from '../../server/rpc/change-document.ts';
import type { Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operator-admin.ts';
import { executeOption } from '../changing.ts';
import type { Client } from '../client.ts';
import { type Command, positional } from '../command.ts';
import { csv } from '../csv.ts';
import { fields } from '../fields.ts';
import { nextLine } from '../next-line.ts';
import { plain, table, when } from '../output.ts';
import { instantOf } from '../scope.ts';

const reason = { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true } as const;
const hashLetters = 64;

export const changeList: Command = {
  words: ['change', 'list'],
  positionals: [],
  options: [
    { name: 'all', value: null, help: 'also those that were decided or have expired' },
    { name: 'since', value: 'DAY|7d', help: 'proposed since then' },
  ],
  help: 'Lists changes that wait for a second operator.',
  example: 'cofferctl change list --all --since 30d',
  run: async (client, given) => {
    const { since } = given.options;
    const isAll = given.options.all !== undefined || since !== undefined;
    const data = await client.call('change.list', { all: isAll, ...(since === undefined ? {} : { since: instantOf(since, 'since') }) });
    const rows = data.changes.map((one) => [
      one.change,
      one.operation,
      one.breakGlass === null ? one.state : `${one.state} (break-glass)`,
      one.proposer,
      when(one.proposedAt),
      one.decidedBy,
      when(one.decidedAt),
      one.reason,
    ]);
    return {
      data,
      text: table({
        columns: ['CHANGE', 'OPERATION', 'STATE', 'PROPOSED BY', 'AT', 'DECIDED BY', 'AT', 'REASON'],
        rows,
        empty: 'no change waits for a second operator',
      }),
    };
  },
};

type Shown = { readonly signed: Result<OperatorToAdmin, 'change.show'>; readonly hash: string; readonly text: string };

/**
 * Fetches a change and returns its text. Everything in the text comes from the document that was signed; the state
 * comes from the gateway.
 */
async function fetchAndShow(client: Client, id: string): Promise<Shown> {
  const signed = await client.call('change.show', { change: id });
  const hash = documentHash(signed.document);
  const proposal = parseProposal(signed.document);
  const spki = Buffer.from(signed.proposerPublicKey, 'base64');
  if (
    proposal.change !== id ||
    publicKeyFingerprint(spki) !== proposal.key ||
    !isSignedBy(signed.document, Buffer.from(signed.proposerSignature, 'base64'), spki)
  )
    throw new CofferdamError('corrupt', 'the signature under this change does not verify: approve nothing, and look at the gateway');
  const lines = [
    ['change', proposal.change],
    ['operation', proposal.operation],
    ...fields(proposal.params),
    ...(proposal.reason === '' || proposal.params.reason === proposal.reason ? [] : [['reason', proposal.reason]]),
    ['proposed by', `${proposal.proposer}, ${when(proposal.proposedAt)}, with key ${proposal.key.slice(0, 16)}… (signature verified)`],
    ['good until', when(proposal.expiresAt)],
    ...(proposal.breakGlass === undefined ? [] : [['break-glass', proposal.breakGlass]]),
    ['hash', hash],
    [
      'state',
      `${signed.change.state}${signed.change.decidedBy === null ? '' : ` by ${signed.change.decidedBy}, ${when(signed.change.decidedAt)}`}`,
    ],
  ];
  return { signed, hash, text: `${lines.map(([name, value]) => `${(name ?? '').padEnd(18)} ${plain(value ?? '')}`).join('\n')}\n` };
}

export const changeShow: Command = {
  words: ['change', 'show'],
  positionals: ['CHANGE'],
  options: [],
  help: 'Shows a change exactly as it was signed, with the hash by which it is approved. The signature is verified here.',
  example: 'cofferctl change show 6f1c…',
  run: async (client, given) => {
    const { signed, hash, text } = await fetchAndShow(client, positional(given, 0));
    const next =
      signed.change.state === 'proposed'
        ? `\napprove it: ${nextLine(given, `change approve ${positional(given, 0)} --hash ${hash} --execute`)}\nreject it:  ${nextLine(given, `change reject ${positional(given, 0)} --reason TEXT --execute`)}\n`
        : '';
    return { data: { ...signed, hash }, text: `${text}${next}` };
  },
};

export const changeApprove: Command = {
  words: ['change', 'approve'],
  positionals: ['CHANGE'],
  options: [{ name: 'hash', value: 'HASH', help: `of the text that you were shown, all ${hashLetters} digits of it` }, executeOption],
  help: "Approves another operator's change: signs the hash of exactly this text, and the warden applies it. Without --execute it is shown.",
  example: 'cofferctl change approve 6f1c… --hash 3b1f… --execute',
  run: async (client, given) => {
    const id = positional(given, 0);
    const wanted = given.options.hash;
    const { signed, hash, text } = await fetchAndShow(client, id);
    if (given.options.execute === undefined)
      return {
        data: { ...signed, hash, executed: false },
        text: `${text}\nNothing was done. To approve exactly this: ${nextLine(given, `change approve ${id} --hash ${hash} --execute`)}\n`,
      };
    if (wanted === undefined) throw new RangeError('--hash is missing: it says what you were shown (cofferctl change show)');
    // With fewer digits, an attacker could try texts until the beginning of a hash matches.
    if (!/^[0-9a-f]+$/.test(wanted) || wanted.length !== hashLetters)
      throw new RangeError(`--hash takes all ${hashLetters} hexadecimal digits`);
    if (hash !== wanted)
      throw new CofferdamError('conflict', 'this change has another hash: it is not the text that you were shown. Nothing was approved');
    const done = await client.approve(id, hash);
    return {
      data: { ...done, executed: true },
      text: `approved and applied: ${done.operation}\n${fields(done.result)
        .map(([name, value]) => `${name.padEnd(18)} ${plain(value)}\n`)
        .join('')}`,
    };
  },
};

export const changeReject: Command = {
  words: ['change', 'reject'],
  positionals: ['CHANGE'],
  options: [reason, executeOption],
  help: 'Rejects a change for good; its proposer may take it back the same way.',
  example: 'cofferctl change reject 6f1c… --reason "not agreed with the bank" --execute',
  run: async (client, given) => {
    const change = positional(given, 0);
    if (given.options.execute === undefined) {
      const { signed, hash, text } = await fetchAndShow(client, change);
      return { data: { ...signed, hash, executed: false }, text: `${text}\nNothing was done. --execute rejects it.\n` };
    }
    await client.call('change.reject', { change, reason: given.options.reason ?? '' });
    return { data: { change, executed: true }, text: 'rejected\n' };
  },
};

export const reportChanges: Command = {
  words: ['report', 'changes'],
  positionals: [],
  options: [
    { name: 'since', value: 'DAY|7d', help: 'a day such as 2026-01-31, or so many days or hours ago (30d, 12h)', required: true },
    { name: 'csv', value: null, help: 'as CSV' },
  ],
  help: 'Lists everything that operators changed, newest first: who, what, who approved it, and how it went.',
  example: 'cofferctl report changes --since 30d',
  run: async (client, given) => {
    const since = instantOf(given.options.since ?? '', 'since');
    type Row = Result<OperatorToAdmin, 'report.changes'>['changes'][number];
    const changes: Row[] = [];
    for (let after: { at: string; id: string } | undefined; ; ) {
      const page = await client.call('report.changes', { since, ...(after === undefined ? {} : { after }) });
      changes.push(...page.changes);
      const last = page.changes.at(-1);
      if (!page.more || last === undefined) break;
      after = { at: last.at, id: last.id };
      if (given.isTerminal) process.stderr.write(`\r\u001b[K${changes.length} changes`);
    }
    if (given.isTerminal) process.stderr.write('\r\u001b[K');
    const columns = ['AT', 'OPERATION', 'BY', 'APPROVED BY', 'BREAK-GLASS', 'OUTCOME', 'REASON', 'WHAT'];
    const rows = changes.map((one) => [
      when(one.at),
      one.operation,
      one.by,
      one.approvedBy,
      one.breakGlass,
      one.outcome,
      one.reason,
      one.params,
    ]);
    return {
      data: { changes, more: false },
      text: given.options.csv === undefined ? table({ columns, rows, empty: 'nothing was changed' }) : csv(columns, rows),
    };
  },
};
