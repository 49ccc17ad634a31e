// A small file is offered at OPEN and stored at CLOSE, in one call. Whatever an edge states about an offer that is not
// its session's, that is over, or that does not fit, nothing is stored by it; what is stored is charged and recorded.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { type Test, test } from 'tap';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { asOwner } from '../support/as-owner.ts';
import { TakenEdge } from '../support/taken-edge.ts';
import { startWorld } from '../support/world.ts';

const bytes = 300;
type Offer = {
  readonly outcome: 'offer';
  readonly upload: string;
  readonly standing: number;
  readonly extent: { readonly objectId: string };
};

async function setUp(t: Test) {
  const world = await startWorld(t);
  const sql = await asOwner(t, world);
  const edge = await TakenEdge.take(t, world);
  const token = await edge.login('acme-batch');
  const path = (name: string): readonly string[] => ['deposit', name];
  const ask = (name: string, by = token, more: object = {}) =>
    edge.say('upload.offer', { token: by, path: path(name), continue: false, exclusive: false, ...more });
  const offer = async (name: string, by = token): Promise<Offer> => {
    const said = (await ask(name, by)) as { readonly result: Offer };
    t.equal(said.result.outcome, 'offer', `${name} is offered`);
    return said.result;
  };
  const extent = ({ extent: { objectId } }: Offer, length = bytes) => ({
    objectId,
    bytes: length,
    sealedBytes: sealedLength(length),
    inline: randomBytes(sealedLength(length)).toString('base64'),
  });
  const whole = (of: Offer, by = token) => ({
    token: by,
    upload: of.upload,
    whole: true,
    size: bytes,
    sha256: createHash('sha256').update(of.upload).digest('hex'),
    extent: extent(of),
  });
  const rows = (name: string) =>
    sql(
      'select v.id, v.state, v.size::int, v.receipt from version v join file f on f.id = v.file_id where f.name = $1 order by v.number',
      [name],
    );
  const states = async (name: string) => (await rows(name)).map((row) => row.state);
  /** What the credential of the session was charged: bytes and items. */
  const charged = async (): Promise<readonly [number, number]> => {
    const [row] = await sql(
      "select b.total_bytes::int as bytes, b.total_items::int as items from budget b join credential c on c.id = b.credential_id join account a on a.id = c.account_id where a.name = 'acme-batch' and b.direction = 'in' order by b.total_items desc limit 1",
      [],
    );
    return [Number(row?.bytes ?? 0), Number(row?.items ?? 0)];
  };
  const entries = (upload: string) =>
    sql('select kind, bytes::int, version_id, public from ledger where handle_id = $1 order by id', [upload]);
  return { world, sql, edge, token, path, ask, offer, extent, whole, rows, states, charged, entries };
}

test('an offer, and the one call that stores its file', async (t) => {
  const { edge, offer, whole, rows, charged, entries, sql } = await setUp(t);
  const before = await charged();
  const one = await offer('one');
  t.same(await rows('one'), [], 'nothing is written for an offer');
  t.same(await charged(), before, 'nor charged');
  t.same(await entries(one.upload), [], 'nor recorded');
  const put = whole(one);
  const { version } = await edge.peer.call('upload.put', put as never);
  t.match(await rows('one'), [{ id: version, state: /published|settling/, size: bytes, receipt: /cofferdam receipt/ }]);
  t.same(await charged(), [before[0] + bytes, before[1] + 1], 'its bytes, and one item');
  const [opened, closed] = await entries(one.upload);
  t.match(opened, { kind: 'upload.opened', version_id: version, public: { folder: 'deposit', path: '/one' } });
  t.match(closed, {
    kind: 'upload.closed',
    bytes,
    version_id: version,
    public: { sha256: put.sha256, extentCount: 1 },
  });
  t.same(await edge.peer.call('upload.put', put as never), { version }, 'a repeated put has the same answer');
  t.same(
    await Promise.all([1, 2, 3].map(() => edge.peer.call('upload.put', put as never))),
    [1, 2, 3].map(() => ({ version })),
  );
  t.same(await charged(), [before[0] + bytes, before[1] + 1], 'and is charged once');
  t.equal((await rows('one')).length, 1);

  const empty = await offer('empty');
  const { version: nothing } = await edge.peer.call('upload.put', {
    ...whole(empty),
    size: 0,
    extent: undefined,
  } as never);
  t.match(await rows('empty'), [{ id: nothing, size: 0 }], 'an empty file has no extent');
  const again = await offer('again');
  await edge.peer.call('upload.put', { ...whole(again), sha256: put.sha256 } as never);
  t.match(
    (await entries(again.upload)).map(({ kind, public: shown }) => [kind, shown]),
    [['upload.opened'], ['upload.closed'], ['deposit.repeated-content', { earlier: version }]],
    'repeated content is told of',
  );
  const [{ n } = { n: 0 }] = await sql(
    'select count(*)::int as n from version v where v.closed_by_upload is not null and v.extent_count <> (select count(*) from extent e where e.content_id = v.content_id)',
    [],
  );
  t.equal(n, 0);
});

test('what is stated about an offer and is not so stores nothing', async (t) => {
  const { edge, token, offer, whole, extent, states, charged, ask, path } = await setUp(t);
  const other = await edge.login('acme-batch');
  const good = await offer('good');
  const before = await charged();
  const lies: readonly (readonly [string, object, string])[] = [
    ['of another session of the same account', { token: other }, 'not-found'],
    ['of nobody', { upload: randomUUID() }, 'not-found'],
  ];
  for (const [what, lie, code] of lies)
    t.same(await edge.say('upload.put', { ...whole(good), ...lie }), { code }, what);
  t.same(await charged(), before, 'and costs nothing, because nothing was done');
  const once: readonly (readonly [string, (of: Offer) => object, string])[] = [
    ['not said to be whole', () => ({ whole: false }), 'conflict'],
    ['another size', () => ({ size: bytes + 1 }), 'conflict'],
    ['without its extent', () => ({ extent: undefined }), 'conflict'],
    ['another object', (of) => ({ extent: { ...extent(of), objectId: 'a'.repeat(32) } }), 'invalid'],
    ['another length', (of) => ({ extent: { ...extent(of), sealedBytes: 999 } }), 'invalid'],
    ['other ciphertext', (of) => ({ extent: { ...extent(of), inline: 'AAAA' } }), 'invalid'],
  ];
  for (const [i, [what, lie, code]] of once.entries()) {
    const one = await offer(`lie-${i}`);
    t.same(await edge.say('upload.put', { ...whole(one), ...lie(one) }), { code }, what);
    t.same(await edge.say('upload.put', whole(one)), { code: 'not-found' }, `${what}: the offer is over`);
    t.same(await states(`lie-${i}`), []);
  }
  t.same(
    await edge.say('upload.begin', { token, upload: good.upload, path: path('elsewhere'), standing: 0 }),
    { code: 'invalid' },
    'an offer is for one path',
  );
  for (const op of ['upload.begin-extent', 'upload.interrupt'])
    t.same(await edge.say(op, { token, upload: good.upload }), { code: 'conflict' }, `${op}: it is no upload`);
  t.match(await edge.say('upload.offer', { token, path: ['collect', 'x'], continue: false, exclusive: false }), {
    code: 'denied',
  });
  t.same(await states('good'), []);
  const twin = await offer('twin');
  t.ok('result' in (await edge.say('upload.put', whole(twin))), 'the twin: what is so is stored');
  const answered = await charged();
  t.match(await ask('twin', token, { exclusive: true }), { code: 'conflict' });
  t.equal((await charged())[1], answered[1] + 1, 'an answer about a name is charged');
});

test('a name is reserved for the life of an offer, and what came under it since is not written over', async (t) => {
  const { edge, token, offer, whole, states, ask, path, sql, rows } = await setUp(t);
  const other = await edge.login('acme-batch');
  const mine = await offer('mine');
  t.same(await ask('mine', other, { exclusive: true }), { code: 'conflict' }, 'nor can it be made a second time');
  t.match(await ask('mine', other), { result: { outcome: 'opened' } }, 'another session of the account takes it over');
  t.same(await edge.say('upload.put', whole(mine)), { code: 'conflict' }, 'then the first one has lost it');
  t.same(await edge.say('upload.begin', { token, upload: mine.upload, path: path('mine'), standing: mine.standing }), {
    code: 'conflict',
  });
  t.same(await states('mine'), ['partial'], 'the second one has it');

  const late = await offer('late');
  await new Promise((resolve) => setTimeout(resolve, 2000));
  t.same(await edge.say('upload.put', whole(late)), { code: 'not-found' }, 'an offer that is over stores nothing');
  const begun = await edge.say('upload.begin', { token, upload: late.upload, path: path('late'), standing: 0 });
  t.match(begun, { result: { storedBytes: 0 } }, 'it can still be begun');
  t.not((begun as { result: { upload: string } }).result.upload, late.upload, 'under a name that the warden chose');
  t.same(
    await edge.say('upload.begin', { token: other, upload: late.upload, path: path('late'), standing: 0 }),
    { code: 'conflict' },
    'what came since is not given up',
  );

  // As another warden does it, which knows nothing of this one's offers.
  const raced = await offer('raced');
  const first = await offer('first');
  t.ok('result' in (await edge.say('upload.put', whole(first))));
  await sql('set session_replication_role = replica');
  await sql("update file set name = 'raced' where name = 'first'");
  await sql('set session_replication_role = origin');
  t.same(await edge.say('upload.put', whole(raced)), { code: 'conflict' }, 'the close decides again');
  t.equal((await rows('raced')).length, 1, 'and stores nothing');
});

test('a file whose entry the database drops is told to nobody, however often its put is repeated', async (t) => {
  const { sql, edge, offer, whole } = await setUp(t);
  const good = whole(await offer('good.xml'));
  t.match(await edge.say('upload.put', good), { result: { version: /./ } }, 'the twin');
  await sql(`create function drops() returns trigger language plpgsql as $$ begin
    if new.kind = 'upload.closed' then return null; end if; return new; end $$`);
  await sql('create trigger drops before insert on ledger_fresh for each row execute function drops()');
  const put = whole(await offer('unrecorded.xml'));
  for (const nth of ['the first', 'a repeated'])
    t.match(await edge.say('upload.put', put), { code: 'unavailable' }, `${nth} call`);
});

test('what operators do between OPEN and CLOSE of a small file counts at its CLOSE', async (t) => {
  const { world, edge, offer, whole, states } = await setUp(t);
  const reason = ['--reason', 'test'];
  const done = async (...args: readonly string[]): Promise<void> => {
    const said = await world.cofferctl([...args, ...reason]);
    t.equal(said.code, 0, said.err);
  };
  for (const [name, before, after] of [
    [
      'taken',
      ['account', 'set', 'acme-batch', '--take', 'acme/deposit'],
      ['account', 'set', 'acme-batch', '--give', 'acme/deposit'],
    ],
    ['ruled', ['folder', 'set', 'acme', 'deposit', '--settle-seconds', '60'], []],
    ['suspended', ['customer', 'suspend', 'acme'], ['customer', 'resume', 'acme']],
  ] as const) {
    const by = await edge.login('acme-batch');
    const put = whole(await offer(name, by), by);
    await done(...before);
    t.match(await edge.say('upload.put', put), { code: 'session-ended' }, name);
    t.same(await states(name), [], `${name}: nothing was stored`);
    if (after.length > 0) await done(...after);
  }
  const by = await edge.login('acme-batch');
  t.match(await edge.say('upload.put', whole(await offer('twin', by), by)), { result: { version: /./ } }, 'the twin');
});
