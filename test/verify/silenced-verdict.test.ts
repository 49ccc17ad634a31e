// A bad verdict cannot be silenced: not by one witness's holder who writes what a database refuses, and not by the
// owner of the database who refuses it.
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { runVerify, storableText } from '../../server/verify/verify.ts';
import { customers, standingWorld } from '../support/standing-world.ts';

type World = Awaited<ReturnType<typeof standingWorld>>;
type Line = { readonly told: boolean; readonly verdict: string; readonly text?: string };

async function said(world: World) {
  const file = join(world.directory, 'verify.json');
  const { databaseUrl, keys, witnesses, archive, state } = world.settings;
  rmSync(file, { force: true });
  writeFileSync(file, JSON.stringify({ databaseUrl, keys, witnesses, archive, state }), { mode: 0o400 });
  const [out, err]: [string[], string[]] = [[], []];
  const { stdout, stderr } = process;
  const [toOut, toErr] = [stdout.write, stderr.write];
  stdout.write = (text: string | Uint8Array): boolean => out.push(String(text)) > 0;
  stderr.write = (text: string | Uint8Array): boolean => err.push(String(text)) > 0;
  try {
    const code = await runVerify(file, false, new AbortController().signal);
    const lines = out.join('').trimEnd().split('\n');
    return { code, lines: lines.filter((one) => one !== '').map((one) => JSON.parse(one) as Line), err: err.join('') };
  } finally {
    [stdout.write, stderr.write] = [toOut, toErr];
  }
}

async function changeRow(world: World): Promise<void> {
  const [table] = await world.sql.query<{ name: string }>(
    'select tableoid::regclass::text as name from ledger_sealed limit 1',
  );
  await world.tamper(`update ${table?.name} set bytes = 1 where number = 7`);
}

const foreign = (origin: string): string =>
  `${origin}\n1\n${Buffer.alloc(32).toString('base64')}\nera 1\ntime 2026-01-01T00:00:00.000Z\n\n\u2014 x ${Buffer.alloc(68).toString('base64')}\n`;

test('whatever characters a note has, its verdict reaches the gateway', async (t) => {
  const world = await standingWorld(t);
  await world.write(customers[0], 40);
  t.match(await world.run(), { verdict: 'good' });
  await changeRow(world);
  const today = new Date().toISOString().slice(0, 10);
  appendFileSync(world.fileIn(1, today), `${JSON.stringify(foreign('evil\u0000\u001b[2J\ud800'))}\n`);
  const before = await world.count('ledger_verdict');
  t.match(await world.run({ state: null }), { verdict: 'bad' });
  t.equal(await world.count('ledger_verdict'), before + 1);
  t.equal(await world.count("ledger_verdict where verdict = 'bad'"), 1);
  t.equal(storableText('a\u0000b\u001b\u2028\ud800"é\\'), 'a\\u{0}b\\u{1b}\\u{2028}\\u{d800}"é\\');
  t.equal(storableText('\u0000'.repeat(999)).length, 300);
});

test('a verdict stands on standard output before the database can refuse it, and the exit code is its own', async (t) => {
  const world = await standingWorld(t);
  await world.write(customers[0], 40);
  t.match(await said(world), {
    code: 0,
    err: '',
    lines: [
      { told: false, verdict: 'good' },
      { told: true, verdict: 'good' },
    ],
  });
  await world.sql.query(
    "create function only_good() returns trigger language plpgsql as $f$ begin if new.verdict <> 'good' then raise exception 'x'; end if; return new; end $f$",
  );
  await world.sql.query(
    'create trigger only_good before insert on ledger_verdict for each row execute function only_good()',
  );
  await changeRow(world);
  rmSync(join(world.directory, 'state'));
  const untold = await said(world);
  t.match(untold, { code: 1, err: /the verdict could not be told to the gateway/ });
  t.match(untold.lines, [{ told: false, verdict: 'bad', text: /number 7/ }]);
  t.equal(untold.lines.length, 1);
  await world.sql.query('drop trigger only_good on ledger_verdict');
  t.match(
    await said(world),
    { code: 1, err: '', lines: [{ told: false }, { told: true, verdict: 'bad' }] },
    'the twin',
  );
});

test('a good verdict that could not be told is none', async (t) => {
  const world = await standingWorld(t);
  await world.write(customers[0], 40);
  await world.sql.query(
    "create function nothing() returns trigger language plpgsql as $f$ begin raise exception 'x'; end $f$",
  );
  await world.sql.query(
    'create trigger nothing before insert on ledger_verdict for each row execute function nothing()',
  );
  t.match(await said(world), { code: 2, err: /could not be told/, lines: [{ told: false, verdict: 'good' }] });
});
