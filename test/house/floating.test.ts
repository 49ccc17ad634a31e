// T-34: every promise of every role has an owner, by the types of the real checker. A rejection that still has no owner
// fails the test in which it happens.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'tap';
import { unownedFailure } from '../../server/observability/last-word.ts';
import { floating } from '../support/floating.ts';
import { linesFoundIn } from '../support/planted.ts';
import { unownedIn } from '../support/unowned.ts';

const root = join(import.meta.dirname, '..', '..');
/** Only these two helpers may leave a promise unawaited. */
const allowed = /^server\/domain\/detached\.ts:/;

test('no role leaves a promise without an owner', (t) => {
  const found = floating(join(root, 'tsconfig.json'), root, ['server', 'admin-cli', 'certs', 'verifier']);
  t.same(
    found.filter((one) => !allowed.test(one)),
    [],
    'detach it to an owner, or hold it for who awaits it later: server/domain/detached.ts',
  );
  t.equal(found.filter((one) => allowed.test(one)).length, 2, 'the walk sees what it looks for');
  t.end();
});

const planted = `
export async function work(): Promise<number> { return 1; }
export type Calls = { call<K extends string>(op: K): Promise<K> };
declare function held<T>(work: Promise<T>): Promise<T>;
export class One {
  #kept: Promise<number> | undefined;
  run(calls: Calls, maybe: One | undefined): void {
    work(); // 8
    void work(); // 9
    calls.call('x').finally(() => {}); // 10
    calls.call('x').catch(() => {}); // 11
    this.#kept = work(); // 12
    this.#kept ??= work().then(() => 2); // 13
    setTimeout(async () => { await work(); }, 1); // 14
    const on: { fail: () => void } = { fail: () => work() }; // 15
    maybe?.later(); // 16
    [1].map(() => work()); // 17
    this.#kept = held(work());
    const awaited = async (): Promise<void> => { await work(); on.fail(); };
    setTimeout(() => on.fail(), 1);
    held(work().then(awaited)).then; // no call
  }
  async later(): Promise<void> { await this.#kept; }
}
`;

test('every way to leave a promise without an owner is found, and correct code is not reported', (t) => {
  t.same(linesFoundIn(t, planted, floating), [8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
  t.end();
});

const node = (text: string): { readonly status: number | null; readonly out: string } => {
  const done = spawnSync(process.execPath, ['--input-type=module-typescript', '--eval', text], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status: done.status, out: `${done.stdout}${done.stderr}` };
};

test('an unhandled rejection fails the test in which it happens', (t) => {
  const planted = (body: string): string =>
    `import { test } from 'tap'; test('planted', async (t) => { t.pass(); ${body} });`;
  const wait = 'await new Promise((resolve) => setTimeout(resolve, 50));';
  t.not(node(planted(`Promise.reject(new Error('floating')); ${wait}`)).status, 0);
  t.equal(node(planted(wait)).status, 0, 'and its twin passes');
  t.end();
});

test('a role logs an unhandled failure in one line and ends, and whoever reads its log finds the line', (t) => {
  const role = (body: string): string => `
    import { createLogger } from './server/observability/logger.ts';
    import { endOnUnownedFailure } from './server/observability/last-word.ts';
    endOnUnownedFailure(createLogger({ log: { level: 'info', pretty: false } }, 'edge', 'partner-1'));
    ${body}
    setTimeout(() => process.exit(0), 2000);`;
  for (const body of [
    "Promise.reject(new Error('floating'));",
    "setTimeout(() => { throw new Error('floating'); }, 1);",
  ]) {
    const { status, out } = node(role(body));
    t.equal(status, 1, 'it does not go on');
    const [line = ''] = unownedIn(out);
    t.match(JSON.parse(line), { level: 60, role: 'edge', node: 'partner-1', err: { message: 'floating' } });
  }
  const hook = (log: string): number | null =>
    node(`import { failOnUnowned } from './test/support/unowned.ts'; failOnUnowned(${JSON.stringify(log)});`).status;
  t.equal(hook(`{"msg":"fine"}\n{"level":60,"msg":"${unownedFailure}"}\n`), 1, 'a test whose role said so fails');
  t.equal(hook('{"msg":"fine"}\n'), 0, 'and its twin passes');
  const honest = node(role(''));
  t.equal(honest.status, 0);
  t.same(unownedIn(honest.out), []);
  t.end();
});
