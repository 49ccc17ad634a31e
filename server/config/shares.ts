// Owns: the one table of shares: of every resource of the warden, the admin process and the way between edge and warden, how much there is, what one node or person may have,
// and what is kept for the other plane or for security officers (T-35, T-38).
// Must never: hold a line that one holder can use up.
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
    // Further ones of a node are read and wait; beyond that its stream is not read.
    calls: node('calls under way', { total: 4096, each: 256, reserve: 1024, waiting: 1024, waitMs: 30_000 }),
    transactions: node('transactions', { total: 12, each: 6, reserve: 3, waiting: 1280, waitMs: 10_000 }),
    // Each is remembered for a minute; one more, and the connection it comes by ends. An honest edge sends none.
    faults: node('messages of a wrong form in a minute', { total: 64, each: 10, reserve: 16 }),
    // A lease that comes later than `leaseLostMs` is worth nothing.
    leases: node('renewals of leases', { total: 6, each: 1, reserve: 2, waiting: 4, waitMs: 1000 }),
    greetings: node('greetings of edges', { total: 3, each: 1, reserve: 1, waiting: 2, waitMs: 10_000 }),
    logins: node('logins under way', { total: 5000, each: 2000, reserve: 1500 }),
    identifiers: node('session identifiers of logins to come', { total: 20_000, each: 5000, reserve: 5000 }),
    // Remembered for two lives of a challenge, ten minutes; a node has 240 a second at most, by its allowances.
    signatures: node('key exchanges signed in ten minutes', { total: 800_000, each: 250_000, reserve: 250_000 }),
    // Each takes 64 MiB and a processor: of two one stays free of any one plane's. What finds no place in the line is refused as a wrong password is.
    hashes: node('passwords being hashed', { total: 2, each: 1, reserve: 1, waiting: 32, waitMs: 20_000 }),
    grants: node('charges waiting for their batch', { total: 4096, each: 1024, reserve: 1024 }),
    // The oldest of the same node makes room.
    dialogues: node('console dialogues', { total: 1000, each: 400, reserve: 300 }),
    sessions: node('sessions held in memory', { total: 20_000, each: 8000, reserve: 6000 }),
    passes: line('warden')("transactions of the warden's own passes and of operators' commands", {
      total: 6,
      each: 6,
      waiting: 256,
      waitMs: 30_000,
    }),
  },
  edge: {
    // Fewer than the warden reads ahead of (`warden.calls`, each): a lease finds its stream open, whatever clients ask.
    calls: line('session')('calls to the warden under way', { total: 240, each: 64, reserve: 48, waiting: 2048, waitMs: 20_000 }),
  },
  admin: {
    // The oldest makes room: who speaks is done in milliseconds.
    handshakes: line('stranger')('connections that have not shown a certificate', { total: 64, each: 64 }),
    connections: person('connections', { total: 64, each: 8, reserve: 16 }),
    calls: person('calls under way', { total: 96, each: 12, reserve: 24, waiting: 64, waitMs: 20_000 }),
    // Each is remembered for a minute; one more, and the connection it comes by ends. cofferctl looks at what it sends.
    faults: person('calls of a wrong form in a minute', { total: 200, each: 20, reserve: 40 }),
    transactions: person('transactions', { total: 8, each: 3, reserve: 2, waiting: 128, waitMs: 20_000 }),
    searches: person('long looks at the record', { total: 6, each: 2, reserve: 2, waiting: 8, waitMs: 15_000 }),
    // At most a fourth of the wall below. An operator who ends his terminal does not take back what he asked: it keeps its place until it is answered.
    commands: person('commands that wait for the warden', { total: 32, each: 4, reserve: 8 }),
    // Of those. A plan is the work of its command and of undoing it; further ones of a person wait for his own.
    plans: person('plans being made', { total: 8, each: 2, reserve: 2, waiting: 8, waitMs: 15_000 }),
    // The oldest of the same person makes room; nobody else's does.
    answers: person('answers kept', { total: 12, each: 3, reserve: 3 }),
    questions: person('incident questions being answered', { total: 2, each: 1, reserve: 1, waiting: 3, waitMs: 900_000 }),
    verifications: person('verifications of the record kept', { total: 4, each: 1, reserve: 1 }),
  },
} as const satisfies Readonly<Record<'warden' | 'edge' | 'admin', Readonly<Record<string, Share>>>>;

/** What waits for the warden in the database, whatever the admin process is: kept by migrations/0040. */
export const commandsWall = { total: 128, each: 16, reserve: 32 } as const;

type Table = typeof defaultShares;
export type Shares = { readonly [P in keyof Table]: { readonly [L in keyof Table[P]]: Share } };
export type WardenShares = Shares['warden'];
export type AdminShares = Shares['admin'];

/** Every line with its name, `warden.logins` for instance. */
export function linesOf(shares: Shares): readonly (readonly [string, Share])[] {
  return Object.entries(shares).flatMap(([process, lines]) =>
    Object.entries(lines).map(([name, share]) => [`${process}.${name}`, share] as const),
  );
}

export function sharesFaults(shares: Shares): readonly string[] {
  const { admin, edge, warden } = shares;
  const isRead = edge.calls.total < warden.calls.each;
  const more = isRead ? [] : ['shares.edge.calls: total must be less than shares.warden.calls.each, or leases are not read'];
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

/** The warden's pool is as large as what may be used of it at once: no line waits for another one's connections. */
export const wardenConnections = ({ transactions, leases, greetings, passes }: WardenShares): number =>
  transactions.total + leases.total + greetings.total + passes.total;
