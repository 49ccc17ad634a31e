// Owns: the console: what each command does for whom, and its entry in the record. No shell, process or file is behind
// it.
// Must never: do more than the account of the session may do, or act without an entry in the same transaction.
import { hourMs } from '../../config/credential-ages.ts';
import { type ConsoleCommand, consoleHelp, parseConsoleLine } from '../../domain/console-grammar.ts';
import { CofferdamError, toCofferdamError } from '../../domain/errors.ts';
import type { Condition } from '../../postgres/beginning.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { ConsoleAnswer, EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Handlers } from '../../rpc/operation.ts';
import { Shelf } from '../../rpc/shelf.ts';
import type { Charging } from '../budgets/charges.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import type { Acting } from '../credentials/credentials.ts';
import { countedCodesOf } from '../factors/used-codes.ts';
import { bySession, record } from '../ledger/entries/record.ts';
import { installationId } from '../seals/seal-queries.ts';
import { sealing } from '../seals/seals.ts';
import type { OpenSession } from '../sessions/open-session.ts';
import type { SessionRegistry } from '../sessions/sessions.ts';
import { beginEnrolment, type Enrolment, finishEnrolment } from './enrolment.ts';
import { endOthers, requestKey } from './key-requests.ts';
import { receiptKeyText } from './receipt-key-text.ts';
import { confirm, keys, lock, type Person, receipt, revokeKey, unlock, whoami, windows } from './verbs.ts';

type Within = <T>(run: (tx: Transaction) => Promise<T>) => Promise<T>;
type Dialogue = { readonly kind: 'enrolment'; readonly enrolment: Enrolment } | { readonly kind: 'key-request' };

const dialogueLifeMs = 10 * 60_000;
/**
 * The commands that are free. They show a person's own access, or end access. A thief can use up the budget of names by
 * listing folders, and that must not keep the owner from locking him out. The account's part of its node's allowance
 * bounds these commands (`nodes/allowances.ts`).
 */
const isFree: ReadonlySet<ConsoleCommand['verb']> = new Set(['whoami', 'windows', 'keys', 'lock', 'keys-revoke']);
/** The largest length of an answer, in characters. Longer lists are cut. */
const textMax = 59_000;
const done = (text: string, exitStatus = 0): ConsoleAnswer => ({
  outcome: 'done',
  text: text.length <= textMax ? text : `${text.slice(0, textMax)}\n… and more`,
  exitStatus,
});

export function consoleHandlers(
  warden: Charging,
  sessions: SessionRegistry,
): Pick<Handlers<EdgeToWarden, EdgeCaller>, 'console.run' | 'console.input'> {
  const dialogues = new Shelf<Dialogue>(warden.shares.dialogues, dialogueLifeMs);
  const keep = (session: OpenSession, dialogue: Dialogue): void => {
    dialogues.put({ holder: session.node, group: session.account.plane }, session.id, dialogue);
  };

  /**
   * Charges one name for a command, because each command leaves an entry. A session that may only enrol belongs to no
   * scope yet; it is bounded by its ticket and by the allowance of its node.
   */
  const pay = async (session: OpenSession, verb: ConsoleCommand['verb']): Promise<void> => {
    const [payer] = session.customers;
    if (payer !== undefined && !isFree.has(verb))
      await warden.charges.take(session, payer.id, 'list', { bytes: 0, items: 1 });
  };

  /**
   * Runs a command in one transaction with its entry. A refusal is recorded, too. `before` runs first, in transactions
   * of its own.
   */
  const acted = async (
    session: OpenSession,
    verb: ConsoleCommand['verb'],
    what: string,
    /** `afterwards` takes work that is done after the commit. */
    work: (acting: Acting, afterwards: (then: () => void) => void) => Promise<ConsoleAnswer>,
    before?: (by: string, within: Within) => Promise<void>,
  ): Promise<ConsoleAnswer> => {
    const by = `${session.account.name} (console)`;
    const announcements: (() => void)[] = [];
    const entry = (tx: Transaction, outcome: string): Promise<void> =>
      record(tx, {
        kind: 'console.used',
        customer: session.account.customer,
        ...bySession(session),
        public: { command: what, outcome },
      });
    // The console of a customer's account sees the rows of that customer only, whatever its code does.
    const scoped = <T>(run: (tx: Transaction) => Promise<T>, condition?: Condition): Promise<T> => {
      const { customer } = session.account;
      return customer === null
        ? warden.database.withSystem(run, condition)
        : warden.database.withCustomers([customer], run, condition);
    };
    const within: Within = (run) => scoped(run, sessions.goingOn(session));
    const sealed = <T>(tx: Transaction, run: () => Promise<T>): Promise<T> =>
      sealing(tx, warden, { maker: 'console', change: () => null }, run);
    try {
      await pay(session, verb);
      await before?.(by, (run) => within((tx) => sealed(tx, () => run(tx))));
      const answer = await within(async (tx) => {
        announcements.length = 0;
        const said = await sealed(tx, () =>
          work(
            {
              tx,
              warden,
              by,
              endSessions: async (filter, reason) => {
                const ended = await sessions.endWithin(tx, filter, reason);
                announcements.push(() => ended.announce());
                return ended.count;
              },
            },
            (then) => void announcements.push(then),
          ),
        );
        await entry(tx, said.outcome === 'done' && said.exitStatus !== 0 ? 'refused' : 'done');
        return said;
      });
      for (const announce of announcements) announce();
      return answer;
    } catch (thrown) {
      const error = toCofferdamError(thrown);
      if (error.code === 'unavailable') throw error;
      if (error.code === 'bug') warden.log.error({ err: thrown, what }, 'defect in a console command');
      await scoped((tx) => entry(tx, error.code));
      return done(error.message, 1);
    }
  };

  return {
    'console.run': async ({ token, line }, caller) => {
      const session = await sessions.requireAny(token, caller);
      dialogues.delete(session.id);
      const parsed = parseConsoleLine(line);
      if ('fault' in parsed) return done(parsed.fault, 2);
      const { command } = parsed;
      if (command.verb === 'help') {
        const { id } = await warden.database.withSystem(installationId);
        return done(`${consoleHelp}\n\ninstallation ${id}`);
      }
      // As public as the help, and as free.
      if (command.verb === 'receipt-key') return done(receiptKeyText(warden.keys.receiptPublicKey));
      return acted(session, command.verb, spelled(command), async (acting) => {
        if (command.verb === 'enroll') {
          const { enrolment, text } = beginEnrolment(session);
          keep(session, { kind: 'enrolment', enrolment });
          return { outcome: 'input', text, until: 'line' };
        }
        const person = requirePerson(session, command);
        if (command.verb !== 'keys-add') return done(await answer(acting, person, command));
        keep(session, { kind: 'key-request' });
        return { outcome: 'input', text: '', until: 'end' };
      });
    },

    'console.input': async ({ token, text }, caller) => {
      const session = await sessions.requireAny(token, caller);
      const dialogue = dialogues.get(session.id);
      dialogues.delete(session.id);
      if (dialogue === undefined) return done('no input is expected; give the command again', 1);
      if (dialogue.kind === 'enrolment') {
        return acted(session, 'enroll', 'enroll', async ({ tx }, afterwards) => {
          const result = await finishEnrolment(tx, warden.keys, session, dialogue.enrolment, text);
          if (result.isEnrolled) afterwards(() => countedCodesOf(warden.keys).learn(result.counted));
          if (result.isEnrolled) return done('The second factor is enrolled. From now on you log in with it.');
          if (result.next === undefined)
            return done('That is not the code either. Nothing was enrolled; the ticket is still good.', 1);
          keep(session, { kind: 'enrolment', enrolment: result.next });
          return { outcome: 'input', text: 'That is not the code. Once more: ', until: 'line' };
        });
      }
      const request = async (acting: Acting): Promise<ConsoleAnswer> => {
        const { fingerprint, account, validFrom } = await requestKey(acting, session, text);
        return done(
          `key ${fingerprint} of ${account} is good from ${validFrom.toISOString()}, or when a colleague says: keys confirm ${fingerprint}\nThe key that signed retires some time after the first use of this one.`,
        );
      };
      return acted(session, 'keys-add', 'keys add', request, (by, within) =>
        endOthers({ by, warden }, within, session, text),
      );
    },
  };
}

function answer(acting: Acting, person: Person, command: ConsoleCommand): Promise<string> {
  const { ages } = acting.warden;
  switch (command.verb) {
    case 'whoami':
      return whoami(acting, person);
    case 'windows':
      return windows(acting, person);
    case 'unlock':
      return unlock(acting, person, command.account, (command.minutes / 60) * hourMs(ages));
    case 'lock':
      return lock(acting, person, command.account);
    case 'keys':
      return keys(acting, person, ages.dormantDays * ages.dayMs);
    case 'keys-confirm':
      return confirm(acting, person, command.fingerprint);
    case 'keys-revoke':
      return revokeKey(acting, person, command.fingerprint);
    case 'receipt':
      return receipt(acting, person, command.name);
    default:
      throw new CofferdamError('unsupported', 'there is no such command');
  }
}

/**
 * Returns the session when it may give this command, and throws `denied` otherwise. Machines may use `whoami` only; a
 * session for enrolment may not use any of these commands; a read-only account may use those that change nothing.
 */
function requirePerson(session: OpenSession, command: ConsoleCommand): Person {
  if (session.purpose !== 'transfer')
    throw new CofferdamError('denied', 'this session is for enrolling a second factor only: enroll');
  const changes = !['whoami', 'windows', 'keys', 'receipt'].includes(command.verb);
  if (changes && session.account.readOnly) throw new CofferdamError('denied', 'this session is read-only');
  if (session.account.kind !== 'person' && command.verb !== 'whoami')
    throw new CofferdamError('denied', 'the console is for persons');
  return session;
}

const spelled = (command: ConsoleCommand): string =>
  [
    command.verb.replace('-', ' '),
    ...('account' in command ? [command.account] : []),
    ...('fingerprint' in command ? [command.fingerprint] : []),
    ...('name' in command ? [command.name] : []),
    ...('minutes' in command ? [`--for ${command.minutes}m`] : []),
  ].join(' ');
