// Owns: the one table of shares. For every shared resource of the warden, of the store, of the admin process, and of
// the connection between edge and warden, it says how much there is, how much one node or person may have, and how much
// is reserved for the other plane or for security officers (T-35, T-38).
// Must never: have a line that one holder can use up, except a line that has only one holder (`warden`, `stranger`).
import { type Share, shareFault } from '../domain/share.ts';

type Numbers = Partial<Omit<Share, 'of' | 'what'>> & { readonly total: number; readonly each: number };
const line =
  (of: Share['of']) =>
  (what: string, numbers: Numbers): Share => ({ of, what, reserve: 0, waiting: 0, waitMs: 0, ...numbers });
const node = line('node');
const person = line('person');

export const defaultShares = {
  warden: {
    connections: node('connections of edges', { total: 128, each: 4, reserve: 32 }),
    // Further calls of a node are read and wait (`waiting`). Beyond that number, the stream of the node is not read.
    calls: node('calls under way', { total: 4096, each: 256, reserve: 1024, waiting: 1024, waitMs: 30_000 }),
    transactions: node('transactions', { total: 12, each: 6, reserve: 3, waiting: 1280, waitMs: 10_000 }),
    // Each fault is remembered for a minute. A node that sends one more than it may loses the connection on which it
    // was sent. An honest edge sends none.
    faults: node('messages of a wrong form in a minute', { total: 64, each: 10, reserve: 16 }),
    // A lease that is renewed later than `leaseLostMs` is worthless, so waiting longer makes no sense.
    leases: node('renewals of leases', { total: 6, each: 1, reserve: 2, waiting: 4, waitMs: 1000 }),
    greetings: node('node.hello calls of edges', { total: 3, each: 1, reserve: 1, waiting: 2, waitMs: 10_000 }),
    logins: node('logins under way', { total: 5000, each: 2000, reserve: 1500 }),
    identifiers: node('session identifiers of logins to come', { total: 20_000, each: 5000, reserve: 5000 }),
    // A signed exchange is remembered for two lifetimes of a challenge, ten minutes. A node has at most 240 in a
    // second, by its allowances.
    signatures: node('key exchanges signed in ten minutes', { total: 800_000, each: 250_000, reserve: 250_000 }),
    // Each hash takes 64 MiB and one processor. Of the two places, one plane can take only one. A login that finds no
    // place in the queue is refused like one with a wrong password.
    hashes: node('passwords being hashed', { total: 2, each: 1, reserve: 1, waiting: 32, waitMs: 20_000 }),
    grants: node('charges waiting for their batch', { total: 4096, each: 1024, reserve: 1024 }),
    // When there is no room, the oldest dialogue of the same node is dropped.
    dialogues: node('console dialogues', { total: 1000, each: 400, reserve: 300 }),
    sessions: node('sessions held in memory', { total: 20_000, each: 8000, reserve: 6000 }),
    passes: line('warden')("transactions of the warden's own passes and of operators' commands", {
      total: 6,
      each: 6,
      waiting: 256,
      waitMs: 30_000,
    }),
  },
  store: {
    // Each has a file open: the process must be allowed more open files than this.
    puts: node('objects being written', { total: 12_288, each: 4096, reserve: 4096 }),
    // Each has 256 KiB of memory, which the store keeps. Whoever has none free waits: its connection is not read.
    pieces: node('pieces of objects on their way to the disk', { total: 256, each: 32, reserve: 64 }),
  },
  edge: {
    // The total must be less than the number of calls that the warden reads ahead for one node (`warden.calls`, each),
    // so that the stream can always carry a lease, whatever clients ask.
    calls: line('session')('calls to the warden under way', {
      total: 240,
      each: 64,
      reserve: 48,
      waiting: 2048,
      waitMs: 20_000,
    }),
  },
  admin: {
    // When there is no room, the oldest connection is dropped. A client with a certificate shows it within
    // milliseconds.
    handshakes: line('stranger')('connections that have not shown a certificate', { total: 64, each: 64 }),
    connections: person('connections', { total: 64, each: 8, reserve: 16 }),
    calls: person('calls under way', { total: 96, each: 12, reserve: 24, waiting: 64, waitMs: 20_000 }),
    // Each fault is remembered for a minute. A person who sends one more than allowed loses the connection on which it
    // was sent. cofferctl checks what it sends.
    faults: person('calls of a wrong form in a minute', { total: 200, each: 20, reserve: 40 }),
    transactions: person('transactions', { total: 8, each: 3, reserve: 2, waiting: 128, waitMs: 20_000 }),
    searches: person('long queries of the record', { total: 6, each: 2, reserve: 2, waiting: 8, waitMs: 15_000 }),
    // At most a fourth of `commandsWall` below. An operator who closes the terminal does not take back a command: the
    // command keeps its place until it is answered.
    commands: person('commands that wait for the warden', { total: 32, each: 4, reserve: 8 }),
    // A part of `commands`. A plan costs the work of its command and of undoing it. Further plans of a person wait for
    // that person's own place.
    plans: person('plans being made', { total: 8, each: 2, reserve: 2, waiting: 8, waitMs: 15_000 }),
    // When there is no room, the oldest answer of the same person is dropped, and nobody else's.
    answers: person('answers kept', { total: 12, each: 3, reserve: 3 }),
    questions: person('incident questions being answered', {
      total: 2,
      each: 1,
      reserve: 1,
      waiting: 3,
      waitMs: 900_000,
    }),
    verifications: person('verifications of the record kept', { total: 4, each: 1, reserve: 1 }),
  },
} as const satisfies Readonly<Record<'warden' | 'store' | 'edge' | 'admin', Readonly<Record<string, Share>>>>;

/**
 * How many commands may wait for the warden in the database, whatever the admin process does. The database enforces
 * this (`command_room`, migrations/functions/commands.sql).
 */
export const commandsWall = { total: 128, each: 16, reserve: 32 } as const;

type Table = typeof defaultShares;
export type Shares = { readonly [P in keyof Table]: { readonly [L in keyof Table[P]]: Share } };
export type WardenShares = Shares['warden'];
export type AdminShares = Shares['admin'];

/** Returns every line of the table with its name, such as `warden.logins`. */
export function linesOf(shares: Shares): readonly (readonly [string, Share])[] {
  return Object.entries(shares).flatMap(([process, lines]) =>
    Object.entries(lines).map(([name, share]) => [`${process}.${name}`, share] as const),
  );
}

export function sharesFaults(shares: Shares): readonly string[] {
  const { admin, edge, warden } = shares;
  const isRead = edge.calls.total < warden.calls.each;
  const more = isRead
    ? []
    : ['shares.edge.calls: total must be less than shares.warden.calls.each, or leases are not read'];
  const faults = linesOf(shares).flatMap(([name, share]) => {
    const fault = shareFault(share);
    return fault === undefined ? [] : [`shares.${name}: ${fault}`];
  });
  const { commands } = admin;
  const isWithin = commands.total <= commandsWall.total - commandsWall.reserve && commands.each <= commandsWall.each;
  const walled = isWithin
    ? []
    : [`shares.admin.commands: more than the database lets wait (${commandsWall.each} of one person, 96 in all)`];
  return [...faults, ...more, ...walled];
}

/**
 * Returns the number of connections in the warden's pool: as many as all its lines may use at once, so that no line
 * waits for the connections of another.
 */
export const wardenConnections = ({ transactions, leases, greetings, passes }: WardenShares): number =>
  transactions.total + leases.total + greetings.total + passes.total;
