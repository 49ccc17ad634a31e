// Every verb of cofferctl, end to end: its help, its plan (which changes nothing), its effect, its JSON. The list of
// verbs is the registration (admin-cli/verbs.ts); what asks and needs no argument is run by itself, and everything else
// has a line of the scene below.
import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { verbs } from '../../admin-cli/verbs.ts';
import { newOpenSshKeyPair } from '../../server/demo/openssh-key.ts';
import { asWarden } from '../support/as-warden.ts';
import { addOperator } from '../support/operators.ts';
import { sshLogin } from '../support/ssh-login.ts';
import { nameOf, runsAlone } from '../support/verbs.ts';
import { type Done, run, startWorld, type World } from '../support/world.ts';

const reason = ['--reason', 'test'];
const escapeCharacter = '\u001b';

/** Runs commands and remembers which. For each command that changes something, the plan is asked for first. */
class Walk {
  readonly #t: Test;
  readonly #world: World;
  readonly #state: () => Promise<string>;
  readonly done = new Set<string>();

  constructor(t: Test, world: World, state: () => Promise<string>) {
    this.#t = t;
    this.#world = world;
    this.#state = state;
  }

  async run(
    words: string,
    args: readonly string[],
    options: { readonly input?: string; readonly code?: number } = {},
  ): Promise<Record<string, unknown>> {
    const command = verbs.find((one) => nameOf(one) === words);
    if (command === undefined) throw new Error(`no command ${words}`);
    const all = [...command.words, ...args];
    if (command.changes === true || command.options.some((one) => one.name === 'execute')) {
      const before = await this.#state();
      // The following commands start a program of their own, as everybody does; this one need not.
      this.#world.startsEachCommand = false;
      const plan = await this.#world.cofferctlAlone([...all, '--json'], options.input);
      this.#world.startsEachCommand = true;
      this.#t.equal(plan.code, 0, `plan of ${words}: ${plan.err}`);
      this.#t.equal(
        (JSON.parse(plan.out || '{}') as { executed?: boolean }).executed,
        false,
        `${words} without --execute`,
      );
      this.#t.equal(await this.#state(), before, 'and has changed nothing');
    }
    const done: Done = await this.#world.cofferctl([...all, '--json'], options.input);
    this.#t.equal(done.code, options.code ?? 0, `${words}: ${done.err}`);
    this.#t.notOk(done.out.includes(escapeCharacter), 'no colours off a terminal');
    this.done.add(words);
    return JSON.parse(done.out) as Record<string, unknown>;
  }
}

test('every command has a help text that needs no manual', async (t) => {
  const env = { COFFERDAM_VAR: '/nonexistent' };
  const ctl = (args: readonly string[]): Promise<Done> =>
    run(process.execPath, ['admin-cli/main.ts', ...args], { env });
  const general = await ctl(['--help']);
  for (const command of verbs) {
    t.match(general.out, new RegExp(`^ {2}${nameOf(command)} `, 'm'), `${nameOf(command)} is in the list`);
    const example = command.example.replace(/^source <\(/, '');
    t.match(example, new RegExp(`^cofferctl ${nameOf(command)}`), 'its example is of itself');
    for (const option of command.options) {
      t.ok(option.help.length > 2, `${nameOf(command)} --${option.name} says what it does`);
      if (option.required === true) t.match(command.example, `--${option.name}`, `the example gives --${option.name}`);
    }
  }
  const [one] = verbs.filter((command) => command.changes === true);
  const help = await ctl([...(one?.words ?? []), '--help']);
  t.equal(help.code, 0);
  t.match(help.out, /--execute/);
  t.match((await ctl(['nonsense'])).err, /there is no command "nonsense"/);
  t.match((await ctl(['account', 'lock', 'x'])).err, /--reason is missing/);
});

test('completion completes words, then options, in a real shell', async (t) => {
  const complete = async (...typed: readonly string[]): Promise<readonly string[]> => {
    const words = typed.map((word) => `'${word}'`).join(' ');
    const script = `source <(node admin-cli/main.ts completion bash); COMP_WORDS=(cofferctl ${words}); COMP_CWORD=${typed.length}; _cofferctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const done = await run('bash', ['--norc', '-c', script]);
    t.equal(done.err, '', typed.join(' '));
    return done.out.split('\n').filter((line) => line !== '');
  };
  t.same([...new Set(await complete('acc'))], ['account']);
  t.same([...(await complete('account', 'l'))].sort(), ['list', 'lock']);
  t.ok((await complete('account', 'lock', 'acme', '--')).includes('--reason'));
  t.ok((await complete('account', 'lock', 'acme', '--e')).includes('--execute'));
  t.notOk((await complete('account', 'list', '--')).includes('--execute'), 'which a reading command has not');
  t.same(await complete('nonsense', ''), []);
  const zsh = await run(process.execPath, ['admin-cli/main.ts', 'completion', 'zsh']);
  t.match(zsh.out, /bashcompinit/);
  const fish = await run(process.execPath, ['admin-cli/main.ts', 'completion', 'fish']);
  t.equal(fish.code, 2);
});

test('every command does what it says', async (t) => {
  const world = await startWorld(t);
  world.startsEachCommand = true;
  const owner = new pg.Client({ connectionString: world.databaseUrl });
  await owner.connect();
  t.teardown(() => owner.end());
  await owner.query("select set_config('cofferdam.customers', '*', false)");
  const one = async <T>(text: string): Promise<T> => Object.values((await owner.query(text)).rows[0] ?? {})[0] as T;
  const tables = [
    'customer',
    'account',
    'credential',
    'folder_right',
    'folder',
    'mfa_ticket',
    'activation_window',
    'standing_window',
    'legal_hold',
    'rotation',
    'operator',
    'operator_key',
    'break_glass',
    'change',
    'seal',
    'version',
    'node',
  ];
  const state = async (): Promise<string> => {
    const hash = createHash('sha256');
    for (const table of tables) {
      const columns = table === 'node' ? 'name, drain_until' : '*';
      hash.update(
        String(await one(`select string_agg(x::text, '|' order by x::text) from (select ${columns} from ${table}) x`)),
      );
    }
    return hash.digest('hex');
  };
  const walk = new Walk(t, world, state);
  const ctl = walk.run.bind(walk);
  const keyLine = (name: string): string => newOpenSshKeyPair(name).publicLine;
  const print = (account: string): Promise<string> =>
    one(
      `select k.fingerprint from credential k join account a on a.id = k.account_id where a.name = '${account}' order by k.created_at limit 1`,
    );

  for (const verb of verbs.filter(runsAlone)) await ctl(nameOf(verb), []);
  await ctl('report changes', ['--since', '1d']);

  t.match(
    (await world.cofferctlAlone(['customer', 'create', 'northbank', ...reason])).out,
    /customer\.created[\s\S]*Nothing was done\. To do it: cofferctl customer create northbank --reason \S+.* --execute/,
  );
  await ctl('customer create', ['northbank', ...reason]);
  await ctl('account create', ['north', '--customer', 'northbank', '--kind', 'person', '--contact', 'Ms North']);
  await ctl('account create', ['north-batch', '--customer', 'northbank', '--kind', 'machine']);
  const key = await ctl('key add', ['north', '--file', '-'], { input: keyLine('north') });
  const batchKey = await ctl('key add', ['north-batch', '--file', '-'], { input: keyLine('north-batch') });
  await ctl('customer show', ['northbank']);
  await ctl('credential show', [String(key.fingerprint)]);
  await ctl('mfa ticket', ['north', '--out', join(world.directory, 'ticket')]);
  t.match(readFileSync(join(world.directory, 'ticket'), 'utf8'), /^[a-z2-7]{6}(-[a-z2-7]{6}){3}\n$/);
  await ctl('account set', ['north-batch', '--networks', '127.0.0.0/8', ...reason]);
  await ctl('account show', ['north-batch']);
  await ctl('password issue', ['north-batch', '--out', join(world.directory, 'password')]);
  await ctl('window open', ['north-batch', '--hours', '1', ...reason]);
  await ctl('window close', ['north-batch']);
  await ctl('account lock', ['north', ...reason]);
  await ctl('account unlock', ['north', ...reason]);
  await ctl('account expire', ['north', '--days', '30', ...reason]);
  await ctl('customer policy', ['northbank', '--allow', 'key+code', ...reason]);
  await ctl('customer suspend', ['northbank', ...reason]);
  await ctl('customer resume', ['northbank', ...reason]);
  t.match(await ctl('customer rename', ['northbank', '--to', 'northern-bank', ...reason]), { internalAccounts: [] });
  t.match((await world.cofferctl(['customer', 'show', 'northbank'])).err, /it was renamed, and is northern-bank now/);
  t.match(
    await ctl('customer rename', ['northern-bank', '--to', 'northbank', ...reason]),
    { executed: true },
    'its own name, again',
  );
  await ctl('key suspend', [String(key.fingerprint), ...reason]);
  await ctl('key resume', [String(key.fingerprint), ...reason]);
  await ctl('credential wake', [String(key.fingerprint), ...reason]);
  await asWarden(
    world,
    `update credential set valid_from = clock_timestamp() + interval '1 hour' where fingerprint = '${batchKey.fingerprint}'`,
  );
  await ctl('key confirm', [String(batchKey.fingerprint), ...reason]);
  await ctl('budget set', ['--customer', 'northbank', '--bytes-day', '500GiB', '--headroom', '20', ...reason]);
  await ctl('budget tighten', ['--customer', 'northbank', '--bytes-hour', '1MiB', ...reason]);
  await ctl('budget release', ['--customer', 'northbank', '--hours', '1', ...reason]);
  await ctl('budget history', ['--customer', 'northbank']);
  await ctl('exposure', ['--credential', String(key.fingerprint)]);

  const file = join(world.directory, 'payment.xml');
  writeFileSync(file, 'payment');
  t.equal((await world.sftp('processor', [`put ${file} acme/collect/payment.xml`])).code, 0);
  await ctl('file list', ['acme']);
  await ctl('file receipt', ['--customer', 'acme', '--path', '/collect/payment.xml']);
  const version = await one<string>("select id from version where state = 'published'");
  t.match(
    (await world.cofferctl(['file', 'receipt', version])).out,
    /^cofferdam receipt\/1/,
    'by its version, as it is withdrawn',
  );
  t.match(
    (await world.cofferctl(['file', 'receipt', '--key-only'])).out,
    /^-----BEGIN PUBLIC KEY-----/,
    'the key alone needs no file',
  );
  t.match(
    (await world.cofferctl(['doctor'])).out,
    /7 demo accounts exist/,
    'accounts that are made beside the demo are none of it',
  );
  await ctl('account set', ['acme-batch', '--give', 'acme/collect:done', ...reason]);
  t.equal((await world.sftp('acme-batch', ['rm collect/payment.xml'])).code, 0);
  await ctl('file reopen', [version, 'acme-batch', ...reason]);
  await ctl('file withdraw', [version, ...reason]);
  await ctl('file release', [version, '--days', '2', ...reason]);
  await ctl('folder create', ['acme', 'reports', '--direction', 'collect', ...reason]);
  await ctl('folder set', ['acme', 'collect', '--window-days', '60', ...reason]);
  const { hold } = await ctl('hold place', ['acme', ...reason]);
  await ctl('hold lift', [String(hold), ...reason]);

  const keys = join(world.directory, 'keys.txt');
  writeFileSync(keys, `globex-batch ${keyLine('globex-batch')}\n`);
  const rotated = await ctl('credential rotate', ['--account', 'globex-batch', '--keys', keys, ...reason]);
  const rotation = String(rotated.rotation);
  await ctl('rotation show', [rotation]);
  await ctl('rotation undo', [rotation, ...reason]);
  const again = await ctl('credential rotate', ['--account', 'acme-2-batch', ...reason]);
  await ctl('rotation finish', [String(again.rotation), '--now', '--laggards', ...reason]);
  await ctl('key retire', [await print('globex'), '--overlap', '3', ...reason]);
  await ctl('credential revoke', ['--account', 'acme-2', ...reason]);
  await ctl('mfa reset', ['globex', ...reason]);

  const asBatch = {
    port: world.demo.partner.port,
    username: 'acme-batch',
    privateKey: readFileSync(world.keyFile('acme-batch'), 'utf8'),
    answer: () => '',
    keepOpen: true,
  };
  const login = await sshLogin(asBatch);
  t.ok(login.isOpen);
  const session = await one<string>(
    "select s.id from session s join account a on a.id = s.account_id where a.name = 'acme-batch' and s.state = 'open'",
  );
  await ctl('session end', [session, ...reason]);
  await login.closed;
  const anew = await sshLogin(asBatch);
  t.match(await ctl('account end-sessions', ['acme-batch', ...reason]), { sessionsEnded: 1 });
  await anew.closed;
  t.equal(
    (await world.cofferctl(['account', 'end-sessions', 'acme-batch', ...reason])).code,
    5,
    'there is none left to end',
  );

  const dora = await addOperator(world, 'dora', 'viewer');
  walk.done.add('operator create');
  await ctl('operator set-role', ['dora', '--role', 'operator', ...reason]);
  await ctl('operator suspend', ['dora', ...reason]);
  await ctl('operator resume', ['dora', ...reason]);
  const second = join(world.directory, 'second');
  const requested = await run(process.execPath, ['certs/main.ts', 'request', '--name', 'dora', '--out', second]);
  t.equal(requested.code, 0, requested.err);
  const authority = join(world.directory, 'certs', 'authority');
  const issued = await run(process.execPath, [
    'certs/main.ts',
    'operator',
    '--authority',
    authority,
    '--request',
    join(second, 'request.pem'),
    '--name',
    'dora',
    '--out',
    join(second, 'cert.pem'),
  ]);
  t.equal(issued.code, 0, issued.err);
  const added = await ctl('operator add-key', ['dora', '--certificate', join(second, 'cert.pem'), ...reason]);
  writeFileSync(join(second, 'ca.pem'), readFileSync(join(dora, 'ca.pem')));
  t.match(
    (await world.cofferctlAlone(['whoami', '--identity', second])).out,
    /^dora \(operator\)/,
    'the new key is good',
  );
  t.match((await world.cofferctlAlone(['whoami', '--identity', dora])).out, /^dora/, 'and so is the former');
  const former = await one<string>(
    `select fingerprint from operator_key k join operator o on o.id = k.operator_id where o.name = 'dora' and fingerprint <> '${added.fingerprint}'`,
  );
  await ctl('operator end-key', ['dora', former, ...reason]);
  t.equal((await world.cofferctlAlone(['whoami', '--identity', dora])).code, 4, 'until it ends');

  const wished = await world.cofferctlAlone([
    'window',
    'open',
    'acme-batch',
    '--hours',
    '1',
    ...reason,
    '--execute',
    '--json',
  ]);
  const { change, hash } = JSON.parse(wished.out) as { change: string; hash: string };
  await ctl('change show', [change]);
  const planned = await world.cofferctlAlone(['change', 'approve', change, '--operator', 'bob']);
  t.match(planned.out, /account +acme-batch\nhours +1\nreason +test\nproposed by +alice[\s\S]*Nothing was done/);
  t.equal(
    (await world.cofferctlAlone(['change', 'approve', change, '--operator', 'bob', '--execute'])).code,
    2,
    'not without the hash',
  );
  t.equal(
    (
      await world.cofferctlAlone([
        'change',
        'approve',
        change,
        '--hash',
        '0'.repeat(64),
        '--operator',
        'bob',
        '--execute',
      ])
    ).code,
    5,
    'nor with another',
  );
  t.equal(
    (
      await world.cofferctlAlone([
        'change',
        'approve',
        change,
        '--hash',
        hash.slice(0, 63),
        '--operator',
        'bob',
        '--execute',
      ])
    ).code,
    2,
    'nor with too little of it',
  );
  t.equal(
    (await world.cofferctlAlone(['change', 'approve', change, '--hash', hash, '--operator', 'carol', '--execute']))
      .code,
    4,
    'nor by an operator',
  );
  t.equal(
    (await world.cofferctlAlone(['change', 'approve', change, '--hash', hash, '--operator', 'bob', '--execute'])).code,
    0,
  );
  walk.done.add('change approve');
  t.equal(
    (await world.cofferctlAlone(['change', 'approve', change, '--hash', hash, '--operator', 'bob', '--execute'])).code,
    5,
    'once',
  );
  const other = JSON.parse(
    (await world.cofferctlAlone(['window', 'open', 'acme-batch', '--hours', '2', ...reason, '--execute', '--json']))
      .out,
  ) as { change: string };
  t.equal((await world.cofferctlAlone(['change', 'reject', other.change, ...reason, '--execute'])).code, 0);
  walk.done.add('change reject');

  const glass = await ctl('break-glass prepare', [
    'carol',
    '--operations',
    'window.open,account.unlock',
    '--hours',
    '1',
    '--days',
    '1',
    ...reason,
  ]);
  const carol = (...args: readonly string[]): Promise<Done> =>
    world.cofferctlAlone([...args, '--operator', 'carol', '--execute']);
  const id = String(glass.breakGlass);
  t.match(
    (await carol('window', 'open', 'acme-batch', '--hours', '1', ...reason)).out,
    /^proposed/,
    'without the glass: proposed',
  );
  t.equal(
    (await carol('account', 'expire', 'globex', '--days', 'never', ...reason, '--break-glass', id)).code,
    0,
    'what widens nothing needs no glass',
  );
  t.equal((await carol('key', 'add', 'acme', '--file', `${world.keyFile('acme')}.pub`, '--break-glass', id)).code, 5);
  t.equal(
    (await carol('mfa', 'ticket', 'globex', '--out', join(world.directory, 'stolen'), '--break-glass', id)).code,
    4,
    'what was not prepared is not done',
  );
  t.match(
    (await carol('window', 'open', 'acme-batch', '--hours', '1', ...reason, '--break-glass', id)).out,
    /is open until/,
    'what was, is',
  );
  t.match(
    (
      await world.cofferctlAlone([
        'window',
        'open',
        'acme-batch',
        '--hours',
        '1',
        ...reason,
        '--break-glass',
        id,
        '--execute',
      ])
    ).err,
    /no emergency of this id was prepared for you/,
  );
  const shown = await world.cofferctlAlone(['break-glass', 'list']);
  t.match([shown.code, shown.out], [1, / carol +open /], 'a fault until it was reviewed');
  t.match((await world.cofferctl(['doctor'])).out, /fault +break-glass[\s\S]*cofferctl break-glass review/);
  const alerts = await ctl('alert list', []);
  t.ok(
    JSON.stringify(alerts).includes('break-glass.used') && JSON.stringify(alerts).includes('break-glass.opened'),
    'loud',
  );
  t.equal((await world.cofferctl(['break-glass', 'review', id, '--finding', 'x'])).code, 5, 'not while it is open');
  await ctl('break-glass end', [id, ...reason]);
  t.equal(
    (await carol('window', 'open', 'acme-batch', '--hours', '1', ...reason, '--break-glass', id)).code,
    5,
    'it is over',
  );
  await ctl('break-glass review', [id, '--finding', 'as agreed by telephone']);
  t.equal((await world.cofferctlAlone(['break-glass', 'list'])).code, 0);

  const bootstrap = await world.cofferctlAlone([
    'bootstrap',
    join(world.directory, 'operators', 'alice', 'cert.pem'),
    join(second, 'cert.pem'),
  ]);
  t.match([bootstrap.code, bootstrap.err], [5, /this installation has its operators/], 'a second bootstrap is refused');
  walk.done.add('bootstrap');
  walk.done.add('completion');
  // Nothing is frozen here: test/attack/restored-database has that scene.
  t.match((await world.cofferctlAlone(['ledger', 'release', randomUUID(), ...reason])).err, /there is no such freeze/);
  walk.done.add('ledger release');
  t.match(await ctl('ledger status', []), { freeze: null, forwards: [] });
  t.match(await ctl('ledger verify', []), { verdict: 'good', findings: [], entries: Number });
  const { entries } = (await ctl('ledger search', ['--kind', 'session.opened', '--limit', '1'])) as {
    entries: { number: number }[];
  };
  t.match(await ctl('ledger show', [String(entries[0]?.number)]), {
    entry: { kind: 'session.opened' },
    checked: { is: 'good' },
  });
  let isOver = false;
  const tail = ctl('ledger tail', ['--count', '1']).finally(() => (isOver = true));
  for (let tries = 0; tries < 30 && !isOver; tries += 1) await world.sftp('acme', ['ls']);
  t.match(await tail, { number: Number, kind: String });
  const indicators = join(world.directory, 'indicators.csv');
  writeFileSync(indicators, '198.51.100.7\n');
  const pack = join(world.directory, 'pack');
  t.match(JSON.stringify(await ctl('incident scope', ['--account', 'processor'])), /checkpoint/);
  t.match(JSON.stringify(await ctl('incident hunt', ['--ioc', indicators])), /198\.51\.100\.7/);
  await ctl('incident pack', ['--account', 'processor', '--aware', '1h', '--out', pack]);
  t.ok(readdirSync(pack).length > 0, 'there is a pack');
  const assured = join(world.directory, 'assured');
  t.match(await ctl('incident assure', ['--account', 'processor', '--out', assured]), {
    assured: Array,
    touched: Array,
  });
  t.ok(readdirSync(assured).includes('ledger-verifier.mjs'), 'there is what the untouched are given');
  await ctl('drain', ['internal-1', ...reason]).catch(() => {});
  const drained = await world.cofferctlAlone(['drain', 'internal-1', ...reason, '--execute', '--json']);
  t.equal(drained.code, 0, drained.err);

  const since = (await ctl('report changes', ['--since', '1h'])) as {
    changes: { operation: string; by: string; approvedBy: string | null; breakGlass: string | null; outcome: string }[];
  };
  t.ok(
    since.changes.some(
      (row) =>
        row.operation === 'key.add' && row.by === 'alice' && row.approvedBy === 'bob' && row.outcome === 'applied',
    ),
  );
  t.ok(
    since.changes.some(
      (row) =>
        row.operation === 'window.open' && row.by === 'carol' && row.approvedBy === null && row.breakGlass === id,
    ),
  );
  t.ok(since.changes.some((row) => row.outcome === 'rejected by alice'));
  t.ok(
    since.changes.some((row) => row.operation === 'account.lock' && row.approvedBy === null && row.outcome === 'done'),
  );
  t.match(
    (await world.cofferctlAlone(['report', 'changes', '--since', '1h', '--csv'])).out,
    /^AT,OPERATION,BY,APPROVED BY/,
  );
  t.equal((await world.cofferctlAlone(['report', 'changes', '--since', 'yesterday'])).code, 2);

  const colours = await run('script', ['-qec', `${process.execPath} admin-cli/main.ts doctor`, '/dev/null'], {
    env: { COFFERDAM_VAR: world.directory },
  });
  t.ok(
    [31, 32, 33].some((colour) => colours.out.includes(`${escapeCharacter}[${colour}m`)),
    'colours on a terminal',
  );
  const missing = verbs.map(nameOf).filter((name) => !walk.done.has(name));
  t.same(missing, [], 'none is left out');
});
