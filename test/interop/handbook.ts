// Owns: typing the pages of the banks' handbook (docs/banks) that are about other programs than OpenSSH.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Block, blocksOf, Typist, wordOf } from '../support/handbook.ts';
import type { World } from '../support/world.ts';

/** The pages that `npm run interop` types. */
export const typedElsewhere: readonly string[] = ['programs.md', 'libraries.md'];

/** What `first-login.md` has made of a machine: its directory, its key, and the files that it was told to save. */
function settleMachine(world: World, typist: Typist): void {
  for (const name of ['out', 'sent', 'in']) mkdirSync(join(typist.machine, name), { recursive: true });
  copyFileSync(world.keyFile('acme-batch'), join(typist.machine, 'key'));
  copyFileSync(join(world.directory, 'demo', 'known_hosts'), join(typist.machine, 'known_hosts'));
  for (const page of ['first-login.md', 'unattended-jobs.md'])
    for (const block of blocksOf(page)) if (wordOf(block, 'file')?.startsWith('/srv/payments/')) typist.save(block);
}

/** The machine gets a second factor, and no window: the code is the only proof beside its key. */
async function enrol(world: World, typist: Typist): Promise<void> {
  for (const args of [
    ['window', 'close', 'acme-batch'],
    ['mfa', 'ticket', 'acme-batch', '--out', join(world.directory, 'ticket-of-handbook')],
  ]) {
    const done = await world.cofferctl(args);
    if (done.code !== 0) throw new Error(`cofferctl ${args.join(' ')}: ${done.err}`);
  }
  typist.ticket('acme-batch', readFileSync(join(world.directory, 'ticket-of-handbook'), 'utf8').trim());
  await typist.enrol('acme-batch');
}

export type TypedPage = { readonly page: string; readonly typed: number; readonly faults: readonly string[] };

/**
 * Types the pages against a gateway of the profile `legacy`, with which also the older programs of Debian work. Blocks
 * whose program is not on this machine are left out and named by `left`.
 */
export async function typePages(
  world: World,
  directory: string,
  isThere: (program: string) => Promise<boolean>,
  left: (what: string, why: string) => void,
): Promise<readonly TypedPage[]> {
  const typist = new Typist(world, directory);
  settleMachine(world, typist);
  const statement = join(directory, 'statement');
  writeFileSync(statement, 'a statement\n');
  const sent = await world.sftp('processor', [`put ${statement} /acme/collect/camt.053-0001.xml`]);
  if (sent.code !== 0) throw new Error(sent.err);
  let hasCode = false;
  const before = async (block: Block): Promise<void> => {
    if (wordOf(block, 'with') !== 'code' || hasCode) return;
    hasCode = true;
    await enrol(world, typist);
  };
  const skips = async (block: Block): Promise<boolean> => {
    const program = wordOf(block, 'needs');
    if (program === undefined || (await isThere(program))) return false;
    left(`handbook, ${program}`, `there is no ${program} here`);
    return true;
  };
  const pages: TypedPage[] = [];
  for (const page of typedElsewhere) {
    const { faults, typed } = await typist.page(page, { before, skips });
    pages.push({ page, typed, faults: faults.map(({ line, what }) => `line ${line}: ${what}`) });
  }
  return pages;
}
