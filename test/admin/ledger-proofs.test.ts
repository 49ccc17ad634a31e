// Proofs from the real sealer's record: every position, every border of a block, and what was removed or altered.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import { newestAnchor } from '../../server/admin/ledger/proofs.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { commonTree } from '../../server/domain/ledger/leaf.ts';
import { mapLeaf, mapRootFrom } from '../../server/domain/ledger/map.ts';
import { leafHash } from '../../server/domain/ledger/merkle.ts';
import { Database } from '../../server/postgres/database.ts';
import { verifyAuditPath } from '../../verifier/index.js';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { newCustomer, TestSealer, writeEntries } from '../support/record.ts';

type Proven = {
  readonly checkpoint: string;
  readonly head: { readonly position: number; readonly text: string; readonly proof: readonly string[] };
  readonly tree: {
    readonly id: string;
    readonly size: number;
    readonly root: string;
    readonly blind: string;
    readonly slot: number;
    readonly path: readonly string[];
  };
  readonly proofs: ReadonlyMap<number, readonly string[]>;
};
const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();
const bytes = (text: string): Buffer => Buffer.from(text, 'base64');

/** Returns how many of these positions the proof does not connect to the checkpoint. */
async function unproven(sql: TestDatabase, proven: Proven, positions: readonly number[]): Promise<number> {
  const { checkpoint } = parseNote(proven.checkpoint);
  const { head, tree } = proven;
  const headLeaf = Buffer.from(leafHash(sha256, Buffer.from(head.text)));
  if (!verifyAuditPath(headLeaf, head.position, checkpoint.size, head.proof.map(bytes), bytes(checkpoint.root)))
    return positions.length;
  const leaf = mapLeaf(sha256, { tree: tree.id, size: tree.size, root: tree.root }, bytes(tree.blind));
  const mapRoot = Buffer.from(mapRootFrom(sha256, leaf, tree.slot, tree.path.map(bytes))).toString('base64');
  if (head.text.split('\n')[3] !== mapRoot) return positions.length;
  const rows = await sql.query<{ position: string; leaf: Buffer }>(
    'select position, leaf from ledger_sealed where tree = $1',
    [tree.id],
  );
  const leaves = new Map(rows.map((row) => [Number(row.position), row.leaf]));
  return positions.filter((position) => {
    const path = proven.proofs.get(position)?.map(bytes);
    const leaf = leaves.get(position);
    return (
      path === undefined || leaf === undefined || !verifyAuditPath(leaf, position, tree.size, path, bytes(tree.root))
    );
  }).length;
}

test('proofs of a record that grows', async (t) => {
  const sql = await createTestDatabase(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => Promise.all([warden.close(), admin.close()]).then(() => {}));
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  const sealer = new TestSealer(warden);
  const prove = (tree: string, positions: readonly number[]): Promise<Proven> =>
    admin.withSystem(async (tx) => {
      const newest = await newestAnchor(tx, tree);
      if (newest === undefined) throw new CofferdamError('not-found', 'nothing');
      const proofs = new Map<number, readonly string[]>();
      for (const position of positions) proofs.set(position, await newest.path(position));
      return { ...newest.anchor, tree: { id: tree, ...newest.anchor.tree }, proofs };
    });
  const acme = await newCustomer(sql, 'acme');
  const other = await newCustomer(sql, 'other');
  await t.rejects(prove(acme, [0]), { code: 'not-found' }, 'nothing is sealed');

  let size = 0;
  for (const more of [1, 1, 253, 1, 1, 255, 1, 700]) {
    await writeEntries(sql, acme, more);
    await writeEntries(sql, null, 2, 'login.refused');
    await sealer.seal();
    size += more;
    const positions = Array.from({ length: size }, (_, i) => i);
    const proven = await prove(acme, positions);
    t.match(proven.tree, { id: acme, size });
    t.equal(await unproven(sql, proven, positions), 0, `all of ${size}`);
  }
  const one = await prove(acme, [700]);
  t.same([...one.proofs.keys()], [700], 'what was asked for and nothing else');
  t.equal(
    await unproven(sql, { ...one, proofs: new Map([[701, one.proofs.get(700) ?? []]]) }, [701]),
    1,
    'a path is of one place only',
  );
  await t.rejects(prove(acme, [size]), { code: 'not-found' });
  await t.rejects(prove(acme, [-1]), { code: 'not-found' });
  await t.rejects(prove(other, [0]), { code: 'not-found' }, 'a tree of nothing');

  t.test('a tree that did not grow is proved by an old head, over blocks of heads', async (t) => {
    for (let i = 0; i < 300; i += 1) {
      await writeEntries(sql, null, 1, 'login.refused');
      await sealer.seal();
      if (i % 60 === 0 || i > 290)
        t.equal(await unproven(sql, await prove(acme, [0, 256, 1212]), [0, 256, 1212]), 0, `${i} heads later`);
    }
    t.equal(await unproven(sql, await prove(commonTree, [0, 315]), [0, 315]), 0, 'the tree of nobody');
    await sealer.seal(true);
    t.equal(await unproven(sql, await prove(acme, [5]), [5]), 0, 'signed again without growth');
  });

  t.test('what was altered or removed is not proved', async (t) => {
    const [month] = await sql.query<{ name: string }>(
      'select tableoid::regclass::text as name from ledger_sealed limit 1',
    );
    const alter = async (statement: string): Promise<void> => {
      await sql.query('set session_replication_role = replica');
      await sql.query(statement);
      await sql.query('reset session_replication_role');
    };
    const at = `tree = '${acme}' and position = 300`;
    const flip = `update ${month?.name} set leaf = set_byte(leaf, 0, get_byte(leaf, 0) # 1) where ${at}`;
    await alter(flip);
    t.equal(await unproven(sql, await prove(acme, [290]), [290]), 1, 'in the same block');
    t.equal(await unproven(sql, await prove(acme, [0, 600]), [0, 600]), 0, 'other blocks stand by their hashes');
    await alter(flip);
    t.equal(await unproven(sql, await prove(acme, [290]), [290]), 0, 'as it was');
    const block = `update ledger_block set hash = set_byte(hash, 0, get_byte(hash, 0) # 1) where tree = '${acme}' and index = 1`;
    await alter(block);
    t.equal(await unproven(sql, await prove(acme, [0]), [0]), 1, 'a block');
    await alter(block);
    const newest = 'position = (select max(position) from ledger_head)';
    await alter(`update ledger_head set number = number + 1 where ${newest}`);
    t.equal(await unproven(sql, await prove(commonTree, [0]), [0]), 1, 'a head');
    await alter(`update ledger_head set number = number - 1 where ${newest}`);
    t.equal(await unproven(sql, await prove(commonTree, [0]), [0]), 0);
    await alter(`delete from ${month?.name} where ${at}`);
    await t.rejects(prove(acme, [290]), { code: 'conflict' }, 'an entry beside it is gone');
    t.equal(await unproven(sql, await prove(acme, [0]), [0]), 0);
  });
});
