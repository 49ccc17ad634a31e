import type { Params, Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operator-admin.ts';
import { changing } from '../changing.ts';
import type { Client } from '../client.ts';
import { type Command, positional } from '../command.ts';
import { table, when } from '../output.ts';

type Item = Result<OperatorToAdmin, 'rotation.show'>['items'][number];
const reason = { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true } as const;

export const rotationList: Command = {
  words: ['rotation', 'list'],
  positionals: [],
  options: [],
  help: 'Lists rotations of keys and how far they are.',
  example: 'cofferctl rotation list',
  run: async (client) => {
    const data = await client.call('rotation.list', {});
    const rows = data.rotations.map((one) => [
      one.rotation,
      one.selection,
      when(one.startedAt),
      one.undoneAt === null ? when(one.deadline) : 'undone',
      one.keys,
      one.staged,
      one.moved,
      one.retired,
      one.laggards,
    ]);
    const columns = ['ROTATION', 'OF', 'STARTED', 'OLD KEYS END', 'KEYS', 'NEW KEYS', 'MOVED', 'RETIRED', 'NOT MOVED'];
    return { data, text: table({ columns, rows, empty: 'no rotations' }) };
  },
};

async function allItems(client: Client, rotation: string, laggards: boolean): Promise<Result<OperatorToAdmin, 'rotation.show'>> {
  const items: Item[] = [];
  let after: Params<OperatorToAdmin, 'rotation.show'>['after'];
  for (;;) {
    const page = await client.call('rotation.show', { rotation, laggards, ...(after === undefined ? {} : { after }) });
    items.push(...page.items);
    const last = page.items.at(-1);
    if (!page.more || last === undefined) return { ...page, items, more: false };
    after = { account: last.account, fingerprint: last.fingerprint };
  }
}

export const rotationShow: Command = {
  words: ['rotation', 'show'],
  positionals: ['ROTATION'],
  options: [{ name: 'laggards', value: null, help: 'only who has not moved to the new key' }],
  help: 'Shows a rotation: which keys are replaced, who uses the new one, and who does not yet.',
  example: 'cofferctl rotation show ROTATION --laggards',
  run: async (client, given) => {
    const data = await allItems(client, positional(given, 0), given.options.laggards !== undefined);
    const one = data.rotation;
    const rows = data.items.map((item) => [
      item.account,
      item.fingerprint,
      item.successor,
      item.movedAt === null ? 'not moved' : `moved ${when(item.movedAt)}`,
      item.state === 'retired' ? `retired ${when(item.retiresAt)}` : item.state === 'open' ? `retires ${when(item.retiresAt)}` : item.state,
      item.contact,
    ]);
    const sums = `${one.keys} keys: ${one.staged} with a new key, ${one.moved} moved, ${one.retired} retired, ${one.laggards} not moved`;
    return {
      data,
      text: `${sums}; started ${when(one.startedAt)} by ${one.startedBy}${one.undoneAt === null ? '' : `, undone ${when(one.undoneAt)}`}\n\n${table({ columns: ['ACCOUNT', 'OLD KEY', 'NEW KEY', 'USE', 'OLD KEY IS', 'CONTACT'], rows, empty: 'nobody' })}`,
    };
  },
};

export const rotationFinish: Command = {
  words: ['rotation', 'finish'],
  positionals: ['ROTATION'],
  options: [
    { name: 'now', value: null, help: 'retire the old keys of all who moved, before the overlap ends', required: true },
    { name: 'laggards', value: null, help: 'also of those who have not moved: they cannot log in with the old key any more' },
    reason,
  ],
  help: 'Ends the overlap at once.',
  example: 'cofferctl rotation finish ROTATION --now --reason "all have moved"',
  changes: true,
  run: async (client, given) => {
    const laggards = given.options.laggards !== undefined;
    return changing(
      client,
      given,
      'rotation.finish',
      { rotation: positional(given, 0), laggards, reason: given.options.reason ?? '' },
      (data) => `${data.retired} old keys retired, ${data.sessionsEnded} sessions ended\n`,
    );
  },
};

export const rotationUndo: Command = {
  words: ['rotation', 'undo'],
  positionals: ['ROTATION'],
  options: [reason],
  help: 'Takes a rotation back: old keys that have not retired are good as before; new ones stay.',
  example: 'cofferctl rotation undo ROTATION --reason "the wrong customer"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'rotation.undo',
      { rotation: positional(given, 0), reason: given.options.reason ?? '' },
      (data) => `${data.restored} old keys are good as before\n`,
    );
  },
};
