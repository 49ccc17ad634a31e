// What a customer is shown: every entry of its tree between two epochs of a real record that enclose the window asked
// for, checked here step by step from the format alone.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import type { Chosen } from '../../server/admin/incident/selection-queries.ts';
import { writeSlice } from '../../server/admin/incident/slice.ts';
import { type Anchor, EpochAnchors } from '../../server/admin/ledger/proofs.ts';
import { parseNote } from '../../server/domain/ledger/checkpoint.ts';
import { Database } from '../../server/postgres/database.ts';
import { verifyAuditPath } from '../../verifier/index.js';
import { createTestDatabase } from '../support/database.ts';
import { newCustomer, TestSealer, writeEntries } from '../support/record.ts';

const H = (...parts: readonly Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
type Start = {
  readonly version: number;
  readonly customer: string;
  readonly begin: number | null;
  readonly end: number;
  readonly says: string;
  readonly subject: string;
  readonly from: Anchor | null;
  readonly frontier: readonly string[];
  readonly to: Anchor;
  readonly entries: number;
  readonly selected: number;
};
type Shown = {
  readonly shown: readonly unknown[];
  readonly salt: string;
  readonly sensitive: string;
  readonly selected: boolean;
};

/** From the tree to the map root, and from there to the checkpoint. */
function isAnchored({ checkpoint, head, tree }: Anchor, customer: string): boolean {
  let node = H(
    Buffer.of(0),
    Buffer.from(`cofferdam ledger tree/2\n${customer} ${tree.size} ${tree.root}\n`),
    bytes(tree.blind),
  );
  for (const [i, sibling] of tree.path.entries())
    node =
      ((tree.slot >>> i) & 1) === 1 ? H(Buffer.of(1), bytes(sibling), node) : H(Buffer.of(1), node, bytes(sibling));
  const { size, root } = parseNote(checkpoint).checkpoint;
  const leaf = H(Buffer.of(0), Buffer.from(head.text));
  return (
    tree.path.length === 32 &&
    head.text.split('\n')[3] === node.toString('base64') &&
    verifyAuditPath(leaf, head.position, size, head.proof.map(bytes), bytes(root))
  );
}

/**
 * RFC 6962 by the roots of whole subtrees: the root of a tree that begins with these subtrees and continues with these
 * leaves.
 */
function rootAfter(size: number, frontier: readonly Buffer[], leaves: readonly Buffer[]): string {
  const roots = [...frontier];
  let count = size;
  for (const leaf of leaves) {
    let node = leaf;
    for (let rest = count; rest % 2 === 1; rest = (rest - 1) / 2)
      node = H(Buffer.of(1), roots.pop() ?? Buffer.alloc(0), node);
    roots.push(node);
    count += 1;
  }
  return roots.reduceRight((right, left) => H(Buffer.of(1), left, right)).toString('base64');
}

const leafOf = ({ shown, salt, sensitive }: Shown): Buffer =>
  H(
    Buffer.of(0),
    H(Buffer.from(salt, 'hex'), Buffer.from(JSON.stringify(['cofferdam ledger public/2', ...shown]))),
    Buffer.from(sensitive, 'hex'),
  );

/** Empty when it verifies. */
function faultsOf(start: Start, shown: readonly Shown[]): readonly string[] {
  const first = start.from?.tree.size ?? 0;
  return [
    ...(isAnchored(start.to, start.customer) ? [] : ['to']),
    ...(start.from === null || isAnchored(start.from, start.customer) ? [] : ['from']),
    ...(start.from === null || rootAfter(first, start.frontier.map(bytes), []) === start.from.tree.root
      ? []
      : ['frontier']),
    ...(rootAfter(first, start.frontier.map(bytes), shown.map(leafOf)) === start.to.tree.root ? [] : ['entries']),
    ...(shown.every((one, i) => one.shown[0] === start.customer && one.shown[1] === first + i) ? [] : ['positions']),
    ...(shown.length === start.entries && shown.filter((one) => one.selected).length === start.selected
      ? []
      : ['counts']),
  ];
}

test('every entry between two epochs, and which of them are selected', async (t) => {
  const sql = await createTestDatabase(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 2 });
  t.teardown(() => Promise.all([warden.close(), admin.close()]).then(() => {}));
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  const sealer = new TestSealer(warden);
  const [acme, bank, none] = [
    await newCustomer(sql, 'acme'),
    await newCustomer(sql, 'bank'),
    await newCustomer(sql, 'none'),
  ];
  const quiet = await newCustomer(sql, 'quiet');
  const anchors = new EpochAnchors();
  const now = async (): Promise<string> => {
    const [row] = await sql.query<{ at: string }>(
      'select to_char(clock_timestamp() at time zone \'utc\', \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\') as at',
    );
    return row?.at ?? '';
  };
  type Asked = Omit<Chosen, 'until'>;
  const everything: Asked = {
    sessions: null,
    node: null,
    since: null,
    open: null,
    account: null,
    subject: 'what was done',
    marks: null,
  };
  const slice = async (
    customer: string,
    chosen: Asked,
    end?: string,
  ): Promise<{ readonly start: Start | undefined; readonly shown: readonly Shown[] }> => {
    const rows: unknown[] = [];
    const until = end ?? asked;
    const options = { timeoutMs: 60_000, workMemory: '256MB', signal: AbortSignal.timeout(60_000) } as const;
    await admin.withSnapshot(options, (snapshot) =>
      writeSlice(snapshot, anchors, { ...chosen, until }, customer, (row) => void rows.push(row)),
    );
    const [first, ...rest] = rows as [{ slice: Start } | undefined, ...Shown[]];
    return { start: first?.slice, shown: rest };
  };
  let asked = '';
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
  const sealEpoch = async (): Promise<void> => {
    // The instants are cut to milliseconds: what was written so far lies before this one, and the epoch after it.
    await pause();
    asked = await now();
    await pause();
    t.ok(await sealer.seal(false, true), 'an epoch');
  };

  await writeEntries(sql, acme, 300);
  await writeEntries(sql, bank, 7);
  await sealer.seal();
  await t.rejects(
    writeEntries(sql, acme, 5).then(async () => {
      await sealer.seal();
      return slice(acme, everything, await now());
    }),
    { code: 'conflict', message: /is in no witnessed epoch/ },
    'a window that ends behind the newest epoch is not passed over',
  );
  await sealEpoch();
  const whole = await slice(acme, everything);
  if (whole.start === undefined) throw new Error('no slice');
  t.match(whole.start, {
    version: 3,
    customer: acme,
    begin: null,
    end: Date.parse(asked) * 1000,
    says: 'affected',
    subject: 'what was done',
    from: null,
    frontier: [],
    entries: 305,
    selected: 305,
  });
  t.same(faultsOf(whole.start, whole.shown), []);
  t.notMatch(JSON.stringify([whole.start, ...whole.shown]), new RegExp(bank), 'nothing of another customer');

  // A file that is open from here on: the entry of its opening lies before the window that follows.
  const [handle, opened] = ['00000000-0000-4000-8000-00000000000a', await now()];
  await sql.query(
    "insert into ledger_fresh (kind, observer, customer_id, handle_id) values ('download.opened', 'warden', $1, $2)",
    [quiet, handle],
  );
  await sealer.seal();
  await pause();
  const later = await now();
  await writeEntries(sql, acme, 4);
  await writeEntries(sql, bank, 3);
  await sealEpoch();
  const since: Asked = { ...everything, since: later };
  const part = await slice(acme, since);
  if (part.start === undefined) throw new Error('no slice');
  t.match(part.start, { says: 'affected', from: { tree: { size: 305 } }, entries: 4, selected: 4 });
  t.same(faultsOf(part.start, part.shown), []);
  t.equal(part.start.begin, Date.parse(later) * 1000);
  const finer = (instant: string): string => instant.replace('Z', '001Z');
  t.match(
    (await slice(acme, { ...since, since: finer(later) }, finer(asked))).start,
    { begin: Date.parse(later) * 1000, end: (Date.parse(asked) + 1) * 1000 },
    'the window of a slice holds all of a window that was asked for in microseconds',
  );
  await t.rejects(slice(acme, since, await now()), { code: 'conflict' }, 'an end that no epoch has reached');
  // What the database says was witnessed last is set back to a genuine note from before the window.
  const state = 'select coalesce(witnessed_checkpoint, checkpoint) as note from ledger_state';
  const [newest] = await sql.query<{ note: string }>(state);
  await sql.query('update ledger_state set witnessed_checkpoint = $1', [whole.start.to.checkpoint]);
  await t.rejects(slice(acme, since), { code: 'conflict' }, 'an older note makes no slice that ends before its window');
  await sql.query('update ledger_state set witnessed_checkpoint = $1', [newest?.note]);
  t.same((await slice(acme, since)).start?.entries, 4, 'the twin');
  t.same(
    faultsOf(part.start, part.shown.slice(1)),
    ['entries', 'positions', 'counts'],
    'one left out at the beginning',
  );
  t.ok(faultsOf(part.start, part.shown.slice(0, -1)).includes('entries'), 'or at the end');
  t.ok(faultsOf(part.start, part.shown.toReversed()).includes('entries'), 'or in another order');

  const open = { handles: [handle], from: opened };
  const throughout = await slice(quiet, { ...since, open });
  if (throughout.start === undefined) throw new Error('no slice');
  t.match(
    throughout.start,
    { says: 'affected', selected: 1, begin: Date.parse(opened) * 1000 },
    'what was open when the window began belongs to it, and the slice begins with its opening',
  );
  t.same(faultsOf(throughout.start, throughout.shown), []);
  t.match((await slice(quiet, since)).start, { says: 'not-affected', selected: 0 }, 'twin: when nothing was open');

  const untouched = await slice(acme, { ...everything, sessions: ['00000000-0000-4000-8000-000000000001'] });
  if (untouched.start === undefined) throw new Error('no slice');
  t.match(
    untouched.start,
    { says: 'not-affected', entries: 309, selected: 0 },
    'whom it does not concern: all the same every entry',
  );
  t.same(faultsOf(untouched.start, untouched.shown), []);
  t.same(await slice(none, everything), { start: undefined, shown: [] }, 'a customer without entries');

  const [month] = await sql.query<{ name: string }>(
    'select tableoid::regclass::text as name from ledger_sealed limit 1',
  );
  await sql.query('set session_replication_role = replica');
  // A clock that was ahead when the entry was written: it lies in the window, and was sealed before the window began.
  await sql.query(
    `update ${month?.name} set at = $2::timestamptz + interval '1 millisecond' where tree = $1 and position = 100`,
    [acme, later],
  );
  t.match(
    (await slice(acme, since)).start,
    { from: null, entries: 309, selected: 5 },
    'a slice begins so early that no entry of its window is outside',
  );
  await sql.query(`delete from ${month?.name} where tree = $1 and position = 100`, [acme]);
  await t.rejects(slice(acme, everything), { code: 'conflict' }, 'an entry that is not there is no gap');
  t.same((await slice(acme, since)).start?.entries, 4, 'twin: where it was not asked for');
});
