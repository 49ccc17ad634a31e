// Owns: `cofferctl rotation show`.
import type { Params, Result } from '../../server/rpc/operation.ts';
import type { OperatorToAdmin } from '../../server/rpc/operators/table.ts';
import type { Client } from '../connection/client.ts';
import { table, when } from '../terminal/output.ts';
import { positional, type Verb } from '../verb/verb.ts';

type Item = Result<OperatorToAdmin, 'rotation.show'>['items'][number];

async function allItems(
  client: Client,
  rotation: string,
  laggards: boolean,
): Promise<Result<OperatorToAdmin, 'rotation.show'>> {
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

export const rotationShow: Verb = {
  words: ['rotation', 'show'],
  positionals: ['ROTATION'],
  options: [{ name: 'laggards', value: null, help: 'only who has not moved to the new key' }],
  help: 'Shows a rotation: which keys are replaced, who uses the new one, and who does not yet.',
  example: 'cofferctl rotation show ROTATION --laggards',
  operations: ['rotation.show'],
  run: async (client, given) => {
    const data = await allItems(client, positional(given, 0), given.options.laggards !== undefined);
    const one = data.rotation;
    const rows = data.items.map((item) => [
      item.account,
      item.fingerprint,
      item.successor,
      item.movedAt === null ? 'not moved' : `moved ${when(item.movedAt)}`,
      item.state === 'retired'
        ? `retired ${when(item.retiresAt)}`
        : item.state === 'open'
          ? `retires ${when(item.retiresAt)}`
          : item.state,
      item.contact,
    ]);
    const sums = `${one.keys} keys: ${one.staged} with a new key, ${one.moved} moved, ${one.retired} retired, ${one.laggards} not moved`;
    return {
      data,
      text: `${sums}; started ${when(one.startedAt)} by ${one.startedBy}${one.undoneAt === null ? '' : `, undone ${when(one.undoneAt)}`}\n\n${table({ columns: ['ACCOUNT', 'OLD KEY', 'NEW KEY', 'USE', 'OLD KEY IS', 'CONTACT'], rows, empty: 'nobody' })}`,
    };
  },
};
