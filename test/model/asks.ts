// Owns: moves that ask for something, or that somebody else makes: questions about names, lists, directories, and what
// operators and time do.
import type { Lives } from './lives.ts';
import { type Look, noSuchFile } from './look.ts';
import type { Beliefs, Seen } from './oracle.ts';
import { accountOf, pathFor, type Reply } from './scene.ts';
import { type Actor, directory, type Step } from './steps.ts';

type Attributes = { readonly size: number; readonly mode: number };
type Entry = { readonly filename: string };
const isDirectory = (mode: number): boolean => (mode & 0o170_000) === 0o040_000;
const live = ['partial', 'held', 'settling', 'published'];
const lockedMs = 200;

/** What a run knows, as far as these moves need it. */
export type Asking = {
  readonly look: Look;
  readonly beliefs: Beliefs;
  readonly lives: Lives;
  /** Nothing is under way that may change anything meanwhile. */
  isAlone(): boolean;
  changedNothing(before: readonly Seen[], after: readonly Seen[], what: string): void;
  /** The sessions of this actor are over. */
  gone(actor: Actor): void;
};

export const maySee =
  (actor: Actor) =>
  (row: Seen): boolean =>
    row.state === 'published' || (live.includes(row.state) && row.account === accountOf[actor]);
const same = (before: readonly Seen[], after: readonly Seen[]): boolean =>
  JSON.stringify(before) === JSON.stringify(after);

export async function ask(asking: Asking, actor: Actor, { what, at }: Extract<Step, { op: 'ask' }>): Promise<void> {
  const { look, beliefs } = asking;
  const path = look.path(at);
  const client = await look.scene.client(actor);
  const isAlone = asking.isAlone();
  const before = await look.rows();
  const named = pathFor(actor, path);
  const reply: Reply =
    what === 'times'
      ? await client.ask('setstat', named, { atime: 1_700_000_000, mtime: 1_700_000_000 })
      : what === 'symlink'
        ? await client.ask('symlink', named, `${named}-link`)
        : await client.ask(what === 'space' ? 'ext_openssh_statvfs' : what, named);
  const after = await look.rows();
  if (isAlone && what !== 'times') asking.changedNothing(before, after, `${what} of ${path}`);
  if ((what === 'symlink' || what === 'readlink') && reply.kind === 'ok')
    beliefs.violate(`${what} of ${path} was answered OK`);
  if (!isAlone || !same(before, after) || (what !== 'stat' && what !== 'lstat')) return;
  const seen = after.filter((row) => row.path === path).filter(maySee(actor));
  if (reply.kind === 'refused' && reply.status === noSuchFile && seen.length > 0)
    beliefs.violate(`${what} of ${path} by ${actor} said that there is no such file: ${JSON.stringify(seen)}`);
  if (reply.kind !== 'ok') return;
  const { size, mode } = reply.value as Attributes;
  // An upload may have accepted more than is sealed of it.
  const fits = seen.some((row) => row.size === size || (row.state === 'partial' && size >= row.size));
  if (!isDirectory(mode) && !fits)
    beliefs.violate(`${what} of ${path} by ${actor} said ${size} bytes: ${JSON.stringify(seen)}`);
}

export async function list(
  asking: Asking,
  actor: Actor,
  { at, inDirectory }: Extract<Step, { op: 'list' }>,
): Promise<void> {
  const { look, beliefs } = asking;
  const folder = `/${look.folderOf(look.path(at)).name}`;
  const where = inDirectory ? `${folder}/${look.prefix}${directory}` : folder;
  const client = await look.scene.client(actor);
  const isAlone = asking.isAlone();
  const before = await look.rows();
  const reply = await client.ask<readonly Entry[]>('readdir', pathFor(actor, where));
  const after = await look.rows();
  if (!isAlone || !same(before, after) || reply.kind !== 'ok') return;
  const there = after.filter((row) => row.path.slice(0, row.path.lastIndexOf('/')) === where && maySee(actor)(row));
  const names = new Set(there.map((row) => row.path.slice(where.length + 1)));
  const listed = new Set(
    reply.value.map((one) => one.filename).filter((name) => inDirectory || name.includes(look.prefix)),
  );
  for (const name of names)
    if (!listed.has(name)) beliefs.violate(`${where}/${name} is there and was not listed to ${actor}`);
  for (const name of listed)
    if (!names.has(name) && name !== `${look.prefix}${directory}`)
      beliefs.violate(`${where}/${name} was listed to ${actor} and is not there`);
}

export async function makeDirectory(
  asking: Asking,
  actor: Actor,
  { at, what }: Extract<Step, { op: 'directory' }>,
): Promise<void> {
  const { look, beliefs } = asking;
  const path = `/${look.folderOf(look.path(at)).name}/${look.prefix}${directory}`;
  const client = await look.scene.client(actor);
  const isAlone = asking.isAlone();
  const before = await look.rows();
  const reply = await client.ask(what === 'make' ? 'mkdir' : 'rmdir', pathFor(actor, path));
  if (!isAlone || reply.kind === 'lost') return;
  asking.changedNothing(before, await look.rows(), `${what} directory ${path}`);
  const inside = before.filter((row) => row.path.startsWith(`${path}/`) && live.includes(row.state));
  if (what === 'remove' && reply.kind === 'ok' && inside.length > 0)
    beliefs.violate(`${path} was removed with ${inside.length} versions in it`);
  const isThere = what === 'make' || inside.some(maySee(actor));
  if (reply.kind === 'refused' && reply.status === noSuchFile && isThere)
    beliefs.violate(`${what} directory ${path} by ${actor}: it was said that there is no such file`);
}

export async function operate(asking: Asking, { what, at }: Extract<Step, { op: 'operator' }>): Promise<void> {
  const { look, beliefs, lives } = asking;
  const { world } = look.scene;
  const command = async (...words: string[]): Promise<string> => {
    const done = await world.cofferctl([...words, '--reason', 'model', '--json']);
    if (done.code !== 0 && done.code !== 3 && done.code !== 5)
      beliefs.violate(`cofferctl ${words.join(' ')}: ${done.code} ${done.err}`);
    return done.code === 0 ? done.out : '';
  };
  const newest = async (): Promise<Seen | undefined> =>
    (await look.rows())
      .filter((row) => row.path === look.path(at) && row.sha !== null && row.state !== 'discarded')
      .at(-1);
  if (what === 'hold') {
    const row = await newest();
    const out = row === undefined ? '' : await command('hold', 'place', 'acme', '--version', row.id);
    if (row !== undefined && out !== '') lives.held(row.id, (JSON.parse(out) as { hold: string }).hold);
    return;
  }
  if (what === 'lift') {
    const hold = lives.letGo((await newest())?.id ?? '');
    if (hold !== undefined) await command('hold', 'lift', hold);
    return;
  }
  if (what === 'lock') {
    await command('account', 'lock', 'acme-batch');
    await new Promise((resolve) => setTimeout(resolve, lockedMs));
    await command('account', 'unlock', 'acme-batch');
  } else
    for (const { id } of await look.scene.rows<{ id: string }>(
      "select s.id from session s join account a on a.id = s.account_id where a.name = 'acme-batch' and s.state = 'open'",
    ))
      await command('session', 'end', id);
  for (const actor of ['depositor', 'depositor-again'] as const) asking.gone(actor);
}

/** Only the database's owner can let days pass. */
export async function age({ look, lives }: Asking, days: number): Promise<void> {
  const rows = await look.rowsOf<{ id: string }>('v.id', '', 'and v.published_at is not null');
  const ids = rows.map((row) => row.id);
  // Noted first: what is due may leave at once.
  lives.passed(ids, days);
  await look.scene.rows(
    "update version set published_at = published_at - $2 * interval '1 day' where id = any ($1::uuid[])",
    [ids, days],
  );
}
