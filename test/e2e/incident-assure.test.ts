// Who is told that nothing of theirs was touched, and who is not: by one definition of what belongs to an incident, and
// by slices that say which time they prove.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { test } from 'tap';
import { run, startWorld } from '../support/world.ts';

type Header = { readonly slice: Record<string, unknown> };

test('a stolen key without a session, a selection that finds nothing, and slices that are made to say more', async (t) => {
  const world = await startWorld(t);
  const local = join(world.directory, 'deposit.xml');
  writeFileSync(local, randomBytes(1000));
  for (const bank of ['acme', 'globex'])
    t.equal((await world.sftp(bank, [`put ${local} deposit/deposit.xml`])).code, 0);
  const { customers } = await world.cofferctlJson<{ customers: readonly { id: string; name: string }[] }>([
    'customer',
    'list',
  ]);
  const idOf = (bank: string): string => customers.find((one) => one.name === bank)?.id ?? '';
  const place = (name: string): string => join(world.directory, name);
  const own = (out: string, bank: string, file: string): string => join(place(out), `${bank}_${idOf(bank)}`, file);
  const textOf = (out: string, bank: string, file: string): string => readFileSync(own(out, bank, file), 'utf8');
  const foldersOf = (out: string): readonly string[] =>
    readdirSync(place(out))
      .map((name) => name.split('_')[0] ?? '')
      .filter((name) => ['acme', 'globex'].includes(name));

  // The right key of globex and no code: a thief who has only the key.
  const [options, target] = [world.sftpArguments('globex').slice(0, -1), world.sftpArguments('globex').at(-1) ?? ''];
  await new Promise((resolve) => setTimeout(resolve, 10));
  const before = new Date().toISOString();
  const tried = await run('sftp', [...options, '-o', 'BatchMode=yes', '-b', '-', target], {
    env: { SSH_ASKPASS_REQUIRE: 'never' },
    input: 'ls\n',
  });
  t.not(tried.code, 0, 'it opened nothing');
  const { credentials } = await world.cofferctlJson<{
    credentials: readonly { fingerprint: string; algorithm: string }[];
  }>([...['credential', 'list', '--account', 'globex']]);
  const key = credentials.find((one) => one.fingerprint.startsWith('SHA256:'))?.fingerprint ?? '';
  const stolen = ['--credential', key, '--since', before];

  const scope = await world.cofferctlJson<{
    customers: readonly Record<string, unknown>[];
    isEmpty: boolean;
    totals: object;
  }>([...['incident', 'scope', ...stolen]]);
  t.match(scope, { isEmpty: false, totals: { sessions: 0, partialLogins: 1 } });
  const rows = scope.customers.filter((one) => Number(one.entries) > 0);
  t.match(rows, [{ customer: 'globex', customerId: idOf('globex') }]);
  t.ok(Number(rows[0]?.failedLogins) > 0);

  const assured = await world.cofferctl(['incident', 'assure', ...stolen, '--out', place('assured')]);
  t.equal(assured.code, 0, assured.err);
  t.same(foldersOf('assured'), ['acme'], 'whose key it is has no assurance');
  t.match(assured.out, /touched, and given nothing here: globex/);
  t.match(assured.out, /verified, and compared with the witness/);
  const letter = textOf('assured', 'acme', 'assurance.md');
  t.match(letter, new RegExp(`acme has the id ${idOf('acme')}`));
  t.match(
    letter,
    /We have asked our record for what was done with one credential \[which: .*\], from \d{4}-.* up to \d{4}-/,
  );
  t.match(letter, /Of the \d+ entries of that time that concern acme none belongs to it/);
  t.notMatch(letter, new RegExp(key.slice(0, 20).replaceAll('+', '.')), 'whose key it is is not told to others');

  const packed = await world.cofferctl(['incident', 'pack', ...stolen, '--aware', '1m', '--out', place('packed')]);
  t.equal(packed.code, 0, packed.err);
  t.same(foldersOf('packed'), ['globex']);
  t.match(textOf('packed', 'globex', 'attempts.csv'), /login\.partial/);
  t.match(
    textOf('packed', 'globex', 'notice.md'),
    /no file of yours was sent.*\d+ logins to your accounts were refused, or stopped before the last proof/s,
  );
  t.match(
    readFileSync(join(place('packed'), 'incident.md'), 'utf8'),
    /time of awareness .* lies before the first event/,
  );
  const verify = (out: string, bank: string, file = 'slice.jsonl', more: readonly string[] = []) => {
    const command = (/^node .*$/m.exec(textOf(out, bank, 'VERIFY.md'))?.[0] ?? '').split(' ').slice(1, -1);
    return run(process.execPath, [...command, '--witness', place('witness'), ...more, file], {
      cwd: dirname(own(out, bank, file)),
    });
  };
  const good = await verify('packed', 'globex');
  t.equal(good.code, 0, good.out + good.err);
  t.match(
    good.out,
    /GOOD: these are all entries of this customer that were sealed (?:behind head \d+ .*|from the first entry ever) up to head \d+ \(sealed /,
  );

  await t.test(
    'a selection that found nothing assures nobody, unless the option says that this is meant',
    async (t) => {
      const nothing = ['--credential', `SHA256:${'A'.repeat(43)}`, '--since', before];
      const found = await world.cofferctl(['incident', 'scope', ...nothing]);
      t.match(found.out, /THE RECORD KNOWS NO credential SHA256:AAAA.*\nNOTHING WAS FOUND/);
      for (const verb of [['assure'], ['pack', '--aware', '1m']] as const) {
        const refused = await world.cofferctl(['incident', ...verb, ...nothing, '--out', place('nothing')]);
        t.not(refused.code, 0);
        t.match(refused.err, /found nothing at all.*knows no credential SHA256:AAAA.*--found-nothing/s);
        t.same(readdirSync(place('nothing')), []);
      }
      const source = await world.cofferctl([
        'incident',
        'assure',
        '--source',
        '198.51.100.7',
        '--since',
        before,
        '--out',
        place('nothing'),
      ]);
      t.match(source.err, /knows no source 198\.51\.100\.7/);
      const meant = await world.cofferctl([
        'incident',
        'assure',
        ...nothing,
        '--found-nothing',
        '--out',
        place('nothing'),
      ]);
      t.equal(meant.code, 0, meant.err);
      t.match(textOf('nothing', 'acme', 'assurance.md'), /Our record has nothing of it at all/);
      const future = new Date(Date.now() + 3_600_000).toISOString();
      t.match(
        (
          await world.cofferctl([
            'incident',
            'assure',
            '--credential',
            key,
            '--since',
            future,
            '--out',
            place('future'),
          ])
        ).err,
        /in the future/,
      );
      const late = await world.cofferctlJson<{ window: { until: string } }>([
        'incident',
        'scope',
        '--credential',
        key,
        '--until',
        future,
      ]);
      t.ok(late.window.until < future, 'an answer ends when it was asked for, and says so');
    },
  );

  await t.test('an older head of a later slice hides nothing', async (t) => {
    const taken = new Date().toISOString();
    const got = await world.sftp('processor', [`get acme/deposit/deposit.xml ${place('got')}`]);
    t.equal(got.code, 0, got.err);
    const theft = await world.cofferctl([
      'incident',
      'pack',
      '--account',
      'processor',
      '--since',
      taken,
      '--aware',
      '1m',
      '--out',
      place('theft'),
    ]);
    t.equal(theft.code, 0, theft.err);
    t.equal((await verify('theft', 'acme')).code, 0);
    const linesOf = (out: string): readonly string[] => textOf(out, 'acme', 'slice.jsonl').trimEnd().split('\n');
    const [late, early] = [
      JSON.parse(linesOf('theft')[0] ?? '') as Header,
      JSON.parse(linesOf('assured')[0] ?? '') as Header,
    ];
    const put = (change: Record<string, unknown>): void => {
      const slice = { ...early.slice, ...change };
      writeFileSync(
        own('theft', 'acme', 'spliced.jsonl'),
        [JSON.stringify({ slice }), ...linesOf('assured').slice(1), ''].join('\n'),
      );
    };
    const { begin, end, from, entries } = late.slice;
    put({});
    const alone = await verify('theft', 'acme', 'spliced.jsonl');
    t.match(
      alone,
      { code: 1, out: /has to reach to/ },
      'a genuine slice of before, to whom asks for the time of the theft',
    );
    put({ begin, end });
    t.match(await verify('theft', 'acme', 'spliced.jsonl'), { code: 1, out: /NOT GOOD/ }, 'with another window');
    put({ begin, end, to: from });
    t.match(
      await verify('theft', 'acme', 'spliced.jsonl'),
      { code: 1, out: /NOT GOOD/ },
      'with an older head of the newest checkpoint',
    );
    const nothing = { ...late.slice, to: from, entries: 0, selected: 0, says: 'not-affected' };
    writeFileSync(own('theft', 'acme', 'spliced.jsonl'), `${JSON.stringify({ slice: nothing })}\n`);
    t.match(
      await verify('theft', 'acme', 'spliced.jsonl'),
      { code: 1, out: /what came behind it is not in it/ },
      `its end is its beginning, of ${entries}`,
    );
  });

  await t.test('a row that is changed while it is asked writes no letter', async (t) => {
    const owner = new pg.Client({ connectionString: world.databaseUrl });
    await owner.connect();
    t.teardown(() => owner.end());
    await owner.query("set session_replication_role = replica; set cofferdam.customers = '*'");
    const change = async (from: string, to: string): Promise<void> => {
      const { rowCount } = await owner.query(
        "update ledger_sealed set client = $2 where client = $1 and kind = 'session.opened'",
        [from, to],
      );
      t.ok(rowCount !== null && rowCount > 0, `${rowCount} rows are changed`);
    };
    const { rows } = await owner.query<{ client: string }>(
      "select client from ledger_sealed where kind = 'session.opened' limit 1",
    );
    const client = rows[0]?.client ?? '';
    for (const [verb, ...more] of [['pack', '--aware', '1m'], ['assure']]) {
      const command = (out: string): string[] => ['incident', verb ?? '', ...stolen, ...more, '--out', place(out)];
      await change(client, 'SSH-2.0-none');
      const refused = await world.cofferctl(command(`${verb}-changed`));
      await change('SSH-2.0-none', client);
      t.equal(refused.code, 10, refused.err);
      t.match(refused.err, /tree [0-9a-f-]{36} of the record was changed.*give nobody anything of this/s);
      t.same(readdirSync(place(`${verb}-changed`)), [], 'nothing was written');
      const done = await world.cofferctl(command(`${verb}-put-back`));
      t.equal(done.code, 0, done.err);
      t.match(
        done.out,
        /Proved: [\d,]+ entries of \d+ trees, .* lead to head \d+ \([\d.]+ s, [\d,]+ a second\)/,
        'twin',
      );
    }
    t.match(readFileSync(join(place('pack-put-back'), 'incident.md'), 'utf8'), /\nProved: [\d,]+ entries of/);
    const alerts = await world.cofferctl(['alert', 'list']);
    t.match(alerts.out, /critical the record is not what was signed \(tree [0-9a-f-]{36}, entry \d+\)/);
  });

  await t.test('a customer is named by its own record', async (t) => {
    const owner = new pg.Client({ connectionString: world.databaseUrl });
    await owner.connect();
    t.teardown(() => owner.end());
    const swap = async (first: string, second: string): Promise<void> => {
      for (const [id, name] of [
        [idOf('acme'), 'between'],
        [idOf('globex'), second],
        [idOf('acme'), first],
      ])
        await owner.query('update customer set name = $2 where id = $1', [id, name]);
    };
    await swap('globex', 'acme');
    const swapped = await world.cofferctl(['incident', 'assure', ...stolen, '--out', place('swapped')]);
    await swap('acme', 'globex');
    t.not(swapped.code, 0);
    t.match(swapped.err, /the catalogue calls customer .* "(?:acme|globex)", and its own record "(?:acme|globex)"/);
    t.notOk(
      foldersOf('swapped').some((name) =>
        readdirSync(place('swapped')).some(
          (one) => one.startsWith(name) && readdirSync(join(place('swapped'), one)).includes('assurance.md'),
        ),
      ),
      'no letter was written',
    );
  });
});
