// Searching and following the record: every filter with what it must not find, pages over several ranges, each entry
// once.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { checkEntry } from '../../admin-cli/ledger/entry-proof.ts';
import { searchLedger, showEntry, tailLedger } from '../../server/admin/ledger/reading.ts';
import { Database } from '../../server/postgres/database.ts';
import type { LedgerFilter, LedgerRow } from '../../server/rpc/operators/ledger-entries.ts';
import { createTestDatabase } from '../support/database.ts';
import { newCustomer, TestSealer, writeEntries } from '../support/record.ts';
import { addAccount } from '../support/rows.ts';

const key = (letter: string): string => `SHA256:${letter.repeat(43)}`;

test('search, tail and show find each entry once', async (t) => {
  const sql = await createTestDatabase(t);
  await sql.query("select set_config('cofferdam.customers', '*', false)");
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  const admin = new Database({ url: sql.adminUrl, applicationName: 'test', connectionsMax: 4 });
  t.teardown(() => Promise.all([warden.close(), admin.close()]).then(() => {}));
  const sealer = new TestSealer(warden);
  const acme = await newCustomer(sql, 'acme');
  const bank = await newCustomer(sql, 'bank');
  const account = await addAccount(sql, { customer: acme, name: 'acme-upload' });
  const [session, other] = [randomUUID(), randomUUID()];
  const [version, hash] = [randomUUID(), 'ab'.repeat(32)];
  // A second apart, so that a time between two of them exists.
  let at = Date.now() - 60_000;
  const write = (given: Readonly<Record<string, unknown>>): Promise<unknown> => {
    at += 1000;
    const columns = { at: new Date(at), ...given };
    const names = Object.keys(columns);
    return sql.query(
      `insert into ledger_fresh (observer, ${names.join(', ')}) values ('warden', ${names.map((_, i) => `$${i + 1}`).join(', ')})`,
      Object.values(columns),
    );
  };
  // 1 to 8.
  await write({
    kind: 'session.opened',
    customer_id: acme,
    account_id: account,
    session_id: session,
    node: 'p1',
    plane: 'partner',
    credential: key('a'),
    also_credential: 'password:abcdefgh',
    source: '192.0.2.7',
    source_port: 4242,
    client: 'SSH-2.0-OpenSSH_9.2',
    public: { proofs: ['publickey'] },
  });
  await write({
    kind: 'upload.closed',
    customer_id: acme,
    account_id: account,
    session_id: session,
    node: 'p1',
    version_id: version,
    bytes: 5,
    public: { path: '/deposit/Zahlung.xml', sha256: hash },
  });
  await write({
    kind: 'session.opened',
    customer_id: bank,
    session_id: other,
    node: 'p2',
    credential: key('b'),
    source: '2001:db8::1',
    client: 'WinSCP',
  });
  await write({ kind: 'extent.granted', customer_id: bank, session_id: other, node: 'p2', extent: 0, bytes: 9 });
  await write({
    kind: 'credential.revoked',
    account_id: account,
    operator: 'alice bob',
    sensitive: { credential: key('a'), reason: 'stolen %_\\' },
  });
  await write({ kind: 'account.locked', operator: 'bobby', sensitive: { reason: 'x' } });
  await write({
    kind: 'login.refused',
    customer_id: acme,
    source: '192.0.2.9',
    credential: key('c'),
    client: 'evil\u001b[2J',
  });
  await write({
    kind: 'operator.asked',
    operator: 'alice',
    sensitive: { operator: 'alice', operation: 'ledger.tail' },
  });
  await sealer.seal();
  const [first] = await sql.query<{ at: Date }>('select at from ledger_sealed where number = 5');
  const middle = first?.at.toISOString() ?? '';

  const find = async (filter: LedgerFilter): Promise<readonly (number | null)[]> => {
    const { entries, more, reached } = await searchLedger(admin, { filter, before: null, limit: 100 });
    t.same([more, reached], [false, 0], 'all of it was looked at');
    return entries.map((one) => one.number);
  };
  t.same(await find({}), [8, 7, 6, 5, 4, 3, 2, 1], 'newest first');
  t.same(await find({ kind: 'session.opened' }), [3, 1]);
  t.same(await find({ kind: 'session.*' }), [3, 1]);
  t.same(await find({ kind: 'session' }), [3, 1]);
  t.same(await find({ kind: 'sess*' }), [3, 1]);
  t.same(await find({ kind: 'session.ended' }), []);
  t.same(await find({ customer: 'acme' }), [7, 2, 1]);
  t.same(await find({ account: 'acme-upload' }), [5, 2, 1]);
  t.same(await find({ customer: 'bank', account: 'acme-upload' }), []);
  t.same(await find({ session }), [2, 1]);
  t.same(await find({ session: randomUUID() }), []);
  t.same(await find({ node: 'p2' }), [4, 3]);
  t.same(await find({ credential: key('a') }), [5, 2, 1], 'its sessions, and what was done to it');
  t.same(await find({ credential: 'password:abcdefgh' }), [2, 1], 'as a second proof');
  t.same(await find({ credential: key('z') }), []);
  t.same(await find({ source: '192.0.2.0/24' }), [7, 2, 1]);
  t.same(await find({ source: '192.0.2.7' }), [2, 1]);
  t.same(await find({ source: '192.0.2.1/24' }), [7, 2, 1], 'bits of the host do not matter');
  t.same(await find({ source: '2001:db8::/32' }), [4, 3]);
  t.same(await find({ source: '198.51.100.0/24' }), []);
  t.same(await find({ clientId: 'winscp' }), [4, 3], 'case does not count');
  t.same(await find({ clientId: '%' }), [], 'no wildcards');
  t.same(await find({ operator: 'bob' }), [5], 'and not bobby');
  t.same(await find({ version }), [2]);
  t.same(await find({ sha256: hash }), [2]);
  t.same(await find({ sha256: hash, kind: 'upload.closed' }), [2]);
  t.same(await find({ sha256: 'cd'.repeat(32) }), []);
  t.same(await find({ text: 'zahlung' }), [2]);
  t.same(await find({ text: '%_\\' }), [5], 'as it stands');
  t.same(await find({ since: middle }), [8, 7, 6, 5]);
  t.same(await find({ until: middle }), [4, 3, 2, 1]);
  t.same(await find({ credential: key('a'), source: '2001:db8::/32' }), [], 'everything must hold');
  t.same(await find({ credential: key('a'), source: '192.0.2.7', kind: 'upload.*' }), [2]);
  for (const filter of [
    { customer: 'nobody' },
    { account: 'nobody' },
    { kind: 'no.such' },
    { kind: 'nosuch*' },
    { kind: 'sess' },
  ])
    await t.rejects(
      searchLedger(admin, { filter, before: null, limit: 1 }),
      { code: 'not-found' },
      JSON.stringify(filter),
    );

  await t.test('an entry without a seal is found, and marked as such', async (t) => {
    await write({ kind: 'console.used', customer_id: acme, session_id: session });
    const page = await searchLedger(admin, { filter: { credential: key('a') }, before: null, limit: 2 });
    t.match(page, {
      entries: [{ number: null, kind: 'console.used' }, { number: 5 }],
      reached: 5,
      more: true,
      isUnsealedCut: false,
    });
    t.same(
      (await searchLedger(admin, { filter: { customer: 'bank' }, before: null, limit: 9 })).entries.length,
      2,
      'nothing of it for others',
    );
    t.same(
      (await searchLedger(admin, { filter: { customer: 'acme' }, before: 9, limit: 9 })).entries.map(
        (one) => one.number,
      ),
      [7, 2, 1],
    );
    await sql.query('begin');
    await writeEntries(sql, bank, 300);
    await sql.query('commit');
    const many = await searchLedger(admin, { filter: { customer: 'bank' }, before: null, limit: 500 });
    t.match(
      [many.entries.length, many.isUnsealedCut, many.more],
      [202, true, false],
      'more than one answer holds: it says so',
    );
    await sql.query('set session_replication_role = replica');
    await sql.query('delete from ledger_fresh');
    await sql.query('reset session_replication_role');
  });

  await t.test('one entry: names, session, proof', async (t) => {
    const shown = await showEntry(admin, 2);
    t.match(shown.entry, {
      number: 2,
      customer: 'acme',
      customerId: acme,
      account: 'acme-upload',
      public: { sha256: hash },
      at: /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z$/,
    });
    t.match(shown.opened, { number: 1, client: 'SSH-2.0-OpenSSH_9.2', sourcePort: 4242 });
    t.equal(shown.isWitnessed, false, 'no witness has it');
    t.equal(checkEntry(shown).is, 'good');
    for (let number = 1; number <= 8; number += 1)
      t.equal(checkEntry(await showEntry(admin, number)).is, 'good', `${number}`);
    const { checkpoint } = shown.proof ?? { checkpoint: '' };
    const forged: Readonly<Record<string, typeof shown>> = {
      field: { ...shown, entry: { ...shown.entry, bytes: 6 } },
      account: { ...shown, entry: { ...shown.entry, accountId: null } },
      'shown field': { ...shown, entry: { ...shown.entry, public: { path: '/other' } } },
      time: { ...shown, entry: { ...shown.entry, at: shown.entry.at.replace(/\d{3}Z$/, '007Z') } },
      text: {
        ...shown,
        hashed: { ...shown.hashed, sensitiveText: '{"x": 1}' },
        entry: { ...shown.entry, sensitive: { x: 1 } },
      },
      position: { ...shown, hashed: { ...shown.hashed, position: 0 } },
      salt: { ...shown, hashed: { ...shown.hashed, salt: '00'.repeat(32) } },
      key: { ...shown, verifierKeys: shown.verifierKeys.map((one) => one.replace(/.{5}$/, 'AAAA=')) },
      'no key': { ...shown, verifierKeys: [] },
      checkpoint: {
        ...shown,
        proof:
          shown.proof === null ? null : { ...shown.proof, checkpoint: checkpoint.replace(/\nera 1\n/, '\nera 2\n') },
      },
      head: {
        ...shown,
        proof:
          shown.proof === null
            ? null
            : { ...shown.proof, head: { ...shown.proof.head, text: `${shown.proof.head.text}x` } },
      },
    };
    for (const [what, one] of Object.entries(forged)) t.equal(checkEntry(one).is, 'bad', what);
    await sql.query('update ledger_state set witnessed_size = 1');
    t.equal((await showEntry(admin, 2)).isWitnessed, true);
    for (const number of [0, 9, 1_000_000])
      await t.rejects(showEntry(admin, number), { code: 'not-found' }, `${number}`);
  });

  await t.test('following begins now: each entry once, in order, without the calls that follow', async (t) => {
    const now = await tailLedger(admin, { filter: {}, after: null });
    t.same(now, { entries: [], last: 8 });
    const seen: LedgerRow[] = [];
    let last = 5;
    const { entries, last: next } = await tailLedger(admin, { filter: {}, after: last });
    t.same(
      entries.map((one) => one.number),
      [6, 7],
      '8 is a call of ledger tail',
    );
    t.equal(next, 8);
    last = next;
    const waiting = tailLedger(admin, { filter: { customer: 'acme' }, after: last });
    await writeEntries(sql, bank, 700);
    await writeEntries(sql, acme, 450);
    await sealer.seal();
    seen.push(...(await waiting).entries);
    last = (await waiting).last;
    while (seen.length < 450) {
      const page = await tailLedger(admin, { filter: { customer: 'acme' }, after: last });
      seen.push(...page.entries);
      last = page.last;
    }
    t.same(
      seen.map((one) => one.number),
      Array.from({ length: 450 }, (_, i) => 709 + i),
    );
    t.ok(seen.every((one) => one.customer === 'acme'));
  });

  await t.test('pages over many ranges', async (t) => {
    await writeEntries(sql, bank, 24_000);
    await sealer.seal();
    const found: (number | null)[] = [];
    let calls = 0;
    for (let before: number | null = null; ; calls += 1) {
      const page: Awaited<ReturnType<typeof searchLedger>> = await searchLedger(admin, {
        filter: { customer: 'acme' },
        before,
        limit: 150,
      });
      found.push(...page.entries.map((one) => one.number));
      if (!page.more) break;
      before = page.reached;
    }
    t.same(found, [...Array.from({ length: 450 }, (_, i) => 1158 - i), 7, 2, 1], 'all of it, once');
    t.ok(calls >= 3, `${calls} calls`);
    const { entries, more } = await searchLedger(admin, { filter: {}, before: null, limit: 500 });
    t.ok(entries.length > 100 && more, 'an answer is cut where it would not fit, and says so');
    t.equal(entries.at(-1)?.number, 25_158 - entries.length + 1);
  });
});
