// Owns: what each console command says and does, inside its transaction.
// Must never: name anything of another customer, or let an account that does not exist be told from one that may not be
// seen.
import { randomUUID } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { CustomerId } from '../../domain/ids.ts';
import { parsePath } from '../../domain/paths.ts';
import { locateEntry, notFound, walk } from '../catalogue/locate.ts';
import {
  confirmCredential,
  type FoundCredential,
  findCredentialByFingerprint,
} from '../credentials/credential-queries.ts';
import { type Acting, recordCredential, revoke } from '../credentials/credentials.ts';
import { record } from '../ledger/entries/record.ts';
import type { Purpose } from '../seals/declared.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import { lockForWithdrawal } from '../sessions/withdrawal-queries.ts';
import { closeSingleWindows, insertWindow, machineWindows } from '../windows/window-queries.ts';
import { credentialName, findManaged, findReceipt, listKeys, type Managed } from './console-queries.ts';

/** A session that may do what its account may do. */
export type Person = OpenSession;

const when = (date: Date): string => `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;

function requireManager(person: Person): CustomerId {
  const { customer, manages } = person.account;
  if (!manages || customer === null)
    throw new CofferdamError('denied', 'your account does not manage the accounts of your organisation');
  return customer;
}

async function requireMachine(acting: Acting, person: Person, name: string, purpose: Purpose): Promise<Managed> {
  const found = await findManaged(acting.tx, requireManager(person), name, purpose);
  if (found === undefined || found.kind !== 'machine')
    throw new CofferdamError('not-found', `your organisation has no machine account named ${name}`);
  return found;
}

export async function whoami({ tx }: Acting, person: Person): Promise<string> {
  const { account } = person;
  const rights = person.customers.flatMap((customer) =>
    customer.folders.map(
      (folder) =>
        `  ${account.plane === 'internal' ? `${customer.name}/` : ''}${folder.name}: ${[...folder.verbs].filter((verb) => !account.readOnly || verb === 'list' || verb === 'read').join(', ')}`,
    ),
  );
  return [
    `${account.name}: a ${account.kind} account${account.customer === null ? ', internal' : ` of ${person.customers[0]?.name ?? 'your organisation'}`}${account.readOnly ? ', read-only' : ''}`,
    `logged in with ${await credentialName(tx, person.credentialId)}`,
    account.manages ? 'you may open windows of machine accounts and manage their keys' : 'you manage no other accounts',
    'folders:',
    ...(rights.length === 0 ? ['  none'] : rights.slice(0, 200)),
  ].join('\n');
}

export async function windows({ tx }: Acting, person: Person): Promise<string> {
  const rows = await machineWindows(tx, requireManager(person));
  if (rows.length === 0) return 'your organisation has no machine accounts';
  return rows
    .map((row) => {
      const open = row.openUntil === null ? 'closed' : `open until ${when(row.openUntil)}`;
      return `${row.account}: ${open}${row.standing.map((one) => `; standing window ${one}`).join('')}`;
    })
    .join('\n');
}

export async function unlock(acting: Acting, person: Person, name: string, livesMs: number): Promise<string> {
  const machine = await requireMachine(acting, person, name, 'to-rely');
  if (!machine.isActive) throw new CofferdamError('conflict', `${name} was locked by the operators; please call them`);
  const closesAt = await insertWindow(acting.tx, randomUUID(), machine.id, livesMs, acting.by, 'over the console');
  await record(acting.tx, {
    kind: 'window.opened',
    customer: person.account.customer,
    account: machine.id,
    session: person.id,
    observer: 'warden',
    sensitive: { by: acting.by, closesAt: closesAt.toISOString() },
  });
  const latest =
    (await machineWindows(acting.tx, requireManager(person))).find((row) => row.account === name)?.openUntil ??
    closesAt;
  const other = latest > closesAt ? `; another window of it is open until ${when(latest)}` : '';
  return `${name} may log in with its key alone until ${when(closesAt)}${other}`;
}

export async function lock(acting: Acting, person: Person, name: string): Promise<string> {
  const machine = await requireMachine(acting, person, name, 'to-narrow');
  await lockForWithdrawal(acting.tx, { credentialsOf: machine.id });
  const closed = await closeSingleWindows(acting.tx, machine.id);
  let ended = 0;
  for (const window of closed) ended += await acting.endSessions({ window }, 'the activation window was closed');
  await record(acting.tx, {
    kind: 'window.closed',
    customer: person.account.customer,
    account: machine.id,
    session: person.id,
    observer: 'warden',
    sensitive: { by: acting.by, windows: closed, sessionsEnded: ended },
  });
  return closed.length === 0 ? `${name} had no open window` : `${name}: window closed, ${ended} sessions ended`;
}

export async function keys({ tx }: Acting, person: Person, dormantMs: number): Promise<string> {
  const { account } = person;
  const rows = await listKeys(tx, account.id, account.manages ? account.customer : null, dormantMs);
  return rows
    .map((row) => {
      const used = row.lastUsedAt === null ? 'never used' : `last used ${when(row.lastUsedAt)}`;
      const state = row.state === 'pending' ? `good from ${when(row.validFrom)}` : row.state;
      return `${row.account}  ${row.fingerprint}  ${state}, until ${when(row.expiresAt)}, ${used}`;
    })
    .join('\n');
}

/** Finds a credential of the person itself, or of a machine account that he manages. Throws `not-found` otherwise. */
async function requireKey(
  acting: Acting,
  person: Person,
  fingerprint: string,
  purpose: Purpose,
): Promise<FoundCredential> {
  const found = await findCredentialByFingerprint(acting.tx, fingerprint, purpose);
  const { account } = person;
  if (found !== undefined && found.account === account.id) return found;
  if (found !== undefined && account.manages && account.customer !== null && found.customer === account.customer) {
    const holder = await findManaged(acting.tx, account.customer, found.accountName, purpose);
    if (holder?.kind === 'machine') return found;
  }
  throw new CofferdamError('not-found', 'no account that you manage has this key');
}

export async function confirm(acting: Acting, person: Person, fingerprint: string): Promise<string> {
  requireManager(person);
  const found = await requireKey(acting, person, fingerprint, 'to-rely');
  if (found.issuedBy === acting.by)
    throw new CofferdamError('denied', 'a key is confirmed by a second person, not by the one who asked for it');
  if (!(await confirmCredential(acting.tx, found.id)))
    throw new CofferdamError('conflict', 'this key is not waiting for a confirmation');
  await recordCredential(acting.tx, 'credential.confirmed', found, { by: acting.by });
  return `${fingerprint} of ${found.accountName} is good now`;
}

export async function revokeKey(acting: Acting, person: Person, fingerprint: string): Promise<string> {
  const found = await requireKey(acting, person, fingerprint, 'to-narrow');
  const ended = await revoke(acting, found, 'over the console');
  if (ended === false) throw new CofferdamError('conflict', 'this key was revoked before');
  return `${fingerprint} of ${found.accountName} was revoked for good; ${ended} sessions ended`;
}

export async function receipt({ tx }: Acting, person: Person, name: string): Promise<string> {
  const place = locateEntry(person, parsePath(new TextEncoder().encode(name), person.start), 'read');
  if (!place.folder.verbs.has('list')) throw notFound();
  const text = await findReceipt(
    tx,
    place.folder.id,
    await walk(tx, place.folder.id, place.parents),
    place.name,
    person.account.id,
  );
  if (text === undefined) throw new CofferdamError('not-found', 'there is no complete file of this name');
  return text;
}
