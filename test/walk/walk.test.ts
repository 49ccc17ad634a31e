// T-24, T-35: a compromised edge asks for everything in its table of operations, alone, at once and in races, while
// everybody else continues.
import { randomBytes, randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Test, test } from 'tap';
import type { Answer } from './node.ts';
import type { Oracle } from './oracle.ts';
import { Walk } from './play.ts';
import type { Spoken } from './resolve.ts';
import { Scene, unsettledBytesMax } from './scene.ts';
import { pairs } from './steps.ts';

/**
 * Half of the pairs of operations come up on a free machine; `npm run soak:edge-walk` walks for as long as it is told.
 */
const walkMs = 45_000;
/** The same lists in every run; the soak takes others each time. */
const seed = 1;

test('whatever a compromised edge asks, nothing of others is given or changed, and everybody else is served', async (t) => {
  const scene = await Scene.start(t);
  const walk = await Walk.create(scene);
  const walked = await walk.play({ seed, untilMs: Date.now() + walkMs });
  t.same(walked.violations, [], `lists of calls from seed ${seed} on`);
  t.ok(walked.calls > 100, 'calls were made');
  t.ok(walked.pairs > 10, 'operations were raced');
  t.comment(
    `${walked.seeds} lists, ${walked.calls} calls, ${walked.pairs} of ${pairs.length} pairs, the other plane at worst ${walked.otherPlaneWorstMs} ms`,
  );
  await bites(t, scene, walk);
});

/** What somebody did who is no edge: the oracle reports each deed, in its own words. */
async function bites(t: Test, scene: Scene, walk: Walk): Promise<void> {
  const sql = (text: string) => async (): Promise<void> => {
    // No trigger stops the owner of the database.
    await scene.rows("set session_replication_role = 'replica'");
    await scene.rows(text);
    await scene.rows("set session_replication_role = 'origin'");
  };
  const thief = scene.player('wide');
  const heard =
    (op: string, params: object, answer: Answer) =>
    async (oracle: Oracle): Promise<void> => {
      const spoken: Spoken = { op, params, by: thief, puts: [] };
      oracle.hear(spoken, answer);
    };
  const contextOf = (customer: string): string =>
    Buffer.concat(
      ['x', customer, randomUUID(), '0', 'ab'.repeat(16)].map((part) => {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(part.length);
        return Buffer.concat([length, Buffer.from(part)]);
      }),
    ).toString('base64');
  const released = (customer: string): Answer => ({
    result: { index: 0, objectId: 'ab'.repeat(16), key: 'AAAA', context: contextOf(customer), bytes: 10 },
  });
  // One that counts: the store also has objects that no extent took.
  const [counting] = await scene.rows<{ object: string }>(
    "select e.object_id as object from extent e join version v on v.content_id = e.content_id where e.inline is null and v.state <> 'discarded' and e.index < v.extent_count limit 1",
  );
  const object = scene.objects().get(counting?.object ?? '');
  const thiefs = "(select id from customer where name = 'thief')";
  const plants: readonly (readonly [string, (oracle: Oracle) => Promise<unknown>, RegExp])[] = [
    [
      'a row of another bank',
      sql("update file set created_at = now() where name = 'zqstill-1'"),
      /another node changed/,
    ],
    [
      'a name of another bank',
      heard('tree.list', {}, { result: { entries: ['zqother-x'] } }),
      /tree\.list told of zqother/,
    ],
    [
      'a name of another bank that the thief gave to a file of its own',
      async (oracle) => {
        const words: Spoken = {
          op: 'upload.open',
          params: { path: ['deposit', 'zqother-mine'] },
          by: thief,
          puts: [],
        };
        oracle.say(words);
        oracle.hear({ ...words, op: 'tree.list', params: {} }, { result: { entries: [{ name: 'zqother-mine' }] } });
        oracle.hear({ ...words, op: 'tree.list', params: {} }, { result: { entries: [{ name: 'zqother-mine-not' }] } });
      },
      /^tree\.list told of zqother: \{"entries":\[\{"name":"zqother-mine-not"\}\]\}$/,
    ],
    ['a defect', heard('tree.list', {}, { code: 'bug', message: 'internal error' }), /was a defect/],
    [
      'a key without an entry',
      heard('download.grant', { download: randomUUID() }, released(thief.customer)),
      /0 entries say so/,
    ],
    [
      'a key of another customer',
      heard('download.grant', { download: randomUUID() }, released(randomUUID())),
      /a key of customer/,
    ],
    [
      'a longer file',
      sql(`update version set size = size + 1 where receipt is not null and customer_id = ${thiefs}`),
      /not those of its size/,
    ],
    [
      'another hash',
      sql(`update version set sha256 = sha256('x') where receipt is not null and customer_id = ${thiefs}`),
      /names another hash/,
    ],
    [
      'a file without a receipt',
      sql(`update version set receipt = null where state = 'published' and customer_id = ${thiefs}`),
      /has no receipt/,
    ],
    [
      'rows without calls',
      sql("insert into login_penalty (subject) select 'x' || n from generate_series(1, 5000) n"),
      /login_penalty grew by 5000/,
    ],
    [
      'credentials',
      sql(
        "insert into credential select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'fingerprint', gen_random_uuid()))).* from credential c cross join generate_series(1, 10)",
      ),
      /credentials came that nobody made/,
    ],
    ['a cap that was passed', sql("update budget set cap_hour_bytes = 0 where direction = 'out'"), /more than its cap/],
    [
      'a defect in a log',
      async () => appendFileSync(scene.log, '{"level":50,"msg":"internal error"}\n'),
      /logged: .*internal error/,
    ],
    ['an object', async () => writeFileSync(object ?? '', randomBytes(1000)), /is not what its row says/],
    [
      'more in the store than an edge may put',
      async () => {
        const path = join(scene.paths.objects, 'ab', 'ab'.repeat(16));
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, '');
        truncateSync(path, unsettledBytesMax + 2 ** 26);
      },
      /bytes of the store belong to no extent/,
    ],
  ];
  for (const [what, work, words] of plants)
    t.match((await walk.lookAfter(work)).join('\n'), words, `the oracle sees ${what}`);
  const tampered = sql(
    "update ledger_sealed set node = 'p1' where id = (select max(id) from ledger_sealed where node = 'p2')",
  );
  t.match((await walk.lookAfter(tampered, true)).join('\n'), /ledger verify/, 'the oracle sees a changed record');
}
