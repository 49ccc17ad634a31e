// What the roles load instead of TypeScript is the same code, and never that of another file.
import { hash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { roleCommand } from '../../server/supervisor/commands.ts';
import { temporaryDirectory } from '../support/database.ts';
import { project, run } from '../support/world.ts';

const hook = join('scripts', 'stripped.mjs');
const store = join('node_modules', '.cofferdam-stripped');
const nameOf = (source: Buffer): string => hash('sha256', source, 'hex');
const sources = ['server', 'admin-cli', 'certs', 'verifier'].flatMap((room) =>
  readdirSync(join(project, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(room, name)),
);

test('the store has every file of the programs, as Node strips it', async (t) => {
  t.ok(sources.length > 300);
  const others = sources.filter((file) => {
    const source = readFileSync(join(project, file));
    return readFileSync(join(project, store, nameOf(source)), 'utf8') !== stripTypeScriptTypes(source.toString('utf8'));
  });
  t.same(others, []);
  const names = new Set(sources.map((file) => nameOf(readFileSync(join(project, file)))));
  t.same(
    readdirSync(join(project, store)).filter((name) => !names.has(name)),
    [],
    'and nothing else',
  );
});

test('a role loads nothing that Node would have to strip', async (t) => {
  for (const file of ['server/edge/edge.ts', 'server/warden/warden.ts', 'server/admin/admin.ts', 'admin-cli/main.ts']) {
    const load = (args: readonly string[]): ReturnType<typeof run> =>
      run(process.execPath, [
        '--no-experimental-strip-types',
        ...args,
        '-e',
        `import('./${file}').then(() => process.exit())`,
      ]);
    const done = await load(['--import', `./${hook}`]);
    t.equal(done.code, 0, `${file} ${done.err}`);
    t.match((await load([])).err, /ERR_UNKNOWN_FILE_EXTENSION/, `${file}: without the hook, Node must strip it`);
  }
});

test('every role is started with the hook, and so are its threads', async (t) => {
  const config = loadConfig({
    file: undefined,
    env: { COFFERDAM_VAR: temporaryDirectory(t) },
    isRoot: false,
    isTerminal: false,
    projectDirectory: project,
  });
  for (const [role, node] of [['warden'], ['admin'], ['edge', 'partner-1']] as const) {
    const { args } = roleCommand(runtimePaths(config), project, '/config.json', role, node);
    t.equal(args[args.indexOf('--import') + 1], join(project, hook), role);
    t.equal(args[0], '--disable-sigusr1', `${role}: no signal opens a debugger`);
    t.ok(args.indexOf('--import') < args.findIndex((arg) => arg.endsWith('main.ts')), 'before the program');
  }
  for (const name of ['server/edge/sftp/store-worker.ts', 'server/edge/self-test/round.ts']) {
    const program = `const { Worker } = require('node:worker_threads');
      const worker = new Worker('./${name}', { workerData: {} });
      worker.on('error', (error) => { process.stdout.write(String(error.code)); process.exit(); });
      worker.on('online', () => setTimeout(() => process.exit(), 1500));`;
    const start = async (args: readonly string[]): Promise<string> =>
      (await run(process.execPath, ['--no-experimental-strip-types', ...args, '-e', program])).out;
    t.notMatch(await start(['--import', `./${hook}`]), 'ERR_UNKNOWN_FILE_EXTENSION', name);
    t.match(await start([]), 'ERR_UNKNOWN_FILE_EXTENSION', `${name}: without the hook, Node must strip it`);
  }
});

test('every systemd unit starts with the hook, writes no memory to disk and reaches no other network', async (t) => {
  const units = readdirSync(join(project, 'deploy', 'systemd')).filter((name) => name.endsWith('.service'));
  t.equal(units.length, 6);
  for (const name of units) {
    const unit = readFileSync(join(project, 'deploy', 'systemd', name), 'utf8');
    t.match(unit, ` --import /opt/cofferdam/${hook} server/main.ts `, name);
    t.match(unit, /^ExecStart=\S+\/node --disable-sigusr1 /m, `${name}: no signal opens a debugger`);
    t.match(unit, /^LimitCORE=0$/m, `${name}: no copies of memory`);
    t.match(unit, /^IPAddressDeny=/m, `${name}: not every network`);
    t.notMatch(unit, /^IPAddressAllow=any$/m, `${name}: which would open all that is denied`);
  }
});

test('a file that was changed since runs as it is now', async (t) => {
  const directory = temporaryDirectory(t);
  for (const name of ['scripts', store]) mkdirSync(join(directory, name), { recursive: true });
  writeFileSync(join(directory, hook), readFileSync(join(project, hook)));
  writeFileSync(join(directory, 'package.json'), '{"type": "module"}');
  const program = join(directory, 'program.ts');
  const say = async (source: string): Promise<string> => {
    writeFileSync(program, source);
    const done = await run(process.execPath, ['--import', join(directory, hook), program]);
    return done.out + (done.code === 0 ? '' : done.err);
  };
  const before = "const word: string = 'before'; console.log(word, new Error().stack?.split('\\n')[1]);";
  writeFileSync(
    join(directory, store, nameOf(Buffer.from(before))),
    stripTypeScriptTypes(before).replace("'before'", "'stored'"),
  );
  const column = before.indexOf('new Error') + 1;
  t.match(
    await say(before),
    new RegExp(`^stored .*program\\.ts:1:${column}\n`),
    'the stored form runs, and a stack trace names the position in the source',
  );
  t.match(
    await say(before.replace('before', 'behind')),
    new RegExp(`^behind .*program\\.ts:1:${column}\n`),
    'other bytes, other code',
  );
  t.match(await say('const word: string = ;'), /SyntaxError/);
});
