// The banks' handbook (docs/banks): its pages about OpenSSH are typed as they stand, against a running gateway.
// `npm run interop` does the same with the pages about other programs.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { t as file, test } from 'tap';
import { typedElsewhere } from '../interop/handbook.ts';
import { type Block, blocksOf, handbook, isTyped, notShown, Typist, wordOf } from '../support/handbook.ts';
import { startWorld } from '../support/world.ts';

const world = await startWorld(file);
const typist = new Typist(world, join(world.directory, 'handbook'));
const operators = async (args: readonly string[]): Promise<void> => {
  const done = await world.cofferctl(args);
  if (done.code !== 0) throw new Error(`cofferctl ${args.join(' ')}: ${done.err}`);
};

/** What operators do on the first day of an account: its former factor and keys are those of the demo world. */
async function issueTicket(account: string, name: string): Promise<void> {
  const out = join(world.directory, name);
  await operators(['mfa', 'ticket', account, '--out', out]);
  typist.ticket(account, readFileSync(out, 'utf8').trim());
}

/** Registers each key pair as soon as a page has made it, as the operators of the bank's gateway do. */
const registered = new Set<string>();
async function register(): Promise<void> {
  for (const [account, key] of [
    ['acme', join(typist.person, 'key.pub')],
    ['acme-batch', join(typist.machine, 'key.pub')],
  ] as const) {
    if (registered.has(account) || !existsSync(key)) continue;
    registered.add(account);
    await operators(['key', 'add', account, '--file', key]);
  }
}

test('the first login of a person and of a machine, windows, and a change of keys', async (t) => {
  await operators(['mfa', 'reset', 'acme', '--reason', 'test']);
  await issueTicket('acme', 'ticket');
  await operators(['window', 'close', 'acme-batch']);
  await issueTicket('acme-batch', 'ticket-batch');
  t.same((await typist.page('first-login.md', { after: register })).faults, []);
  const [mine] =
    (await world.cofferctl(['file', 'list', 'acme', '--folder', 'deposit'])).out.match(/first\.txt\S*/) ?? [];
  t.equal(mine, 'first.txt', 'the file is there under its last name');
});

test('unattended jobs', async (t) => {
  const sent = join(world.directory, 'camt');
  writeFileSync(sent, 'a statement\n');
  t.equal((await world.sftp('processor', [`put ${sent} /acme/collect/camt.053-0001.xml`])).code, 0);
  await operators(['window', 'open', 'acme-batch', '--hours', '8', '--reason', 'test']);
  const before = async (block: Block): Promise<void> => {
    if (wordOf(block, 'with') === 'code') await operators(['window', 'close', 'acme-batch']);
  };
  t.same((await typist.page('unattended-jobs.md', { before })).faults, []);
  t.equal(readFileSync(join(typist.machine, 'in', 'camt.053-0001.xml'), 'utf8'), 'a statement\n');
  t.same(readdirSync(join(typist.machine, 'out')), ['large.dat'], 'what was sent by the job is out of the way');
});

test('receipts are read and verified without us', async (t) => {
  const keys = await world.cofferctl(['file', 'receipt', '--key-only']);
  writeFileSync(join(typist.person, 'receipt-key.pem'), keys.out);
  t.same((await typist.page('receipts.md')).faults, []);
});

test('every block that is to be typed is on a page that is typed', async (t) => {
  const typed = ['first-login.md', 'unattended-jobs.md', 'receipts.md', ...typedElsewhere];
  for (const page of readdirSync(handbook)) {
    const isAny = blocksOf(page).some(isTyped);
    t.equal(typed.includes(page), isAny, page);
  }
  t.same(notShown('one\nt…o', '1 one 1\n2 two 2'), []);
  t.same(notShown('two\none', 'one\ntwo'), ['one'], 'the twin: the order counts');
});
