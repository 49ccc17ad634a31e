// Owns: what the record says about logins that opened no session: a proof that counted, a proof that was refused, and
// the attempts of strangers, summed up by the minute.
// Must never: store the name that a stranger typed, because it may be a password.
import { sourceOf } from '../../domain/addresses.ts';
import type { CredentialId } from '../../domain/ids.ts';
import type { LoginState } from '../../domain/login-machine.ts';
import { isValidAccountName } from '../../domain/paths.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params } from '../../rpc/operation.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { EdgeCaller } from '../callers/edge-caller.ts';
import type { Warden } from '../context/context.ts';
import { findCredentialByFingerprint } from '../credentials/credential-queries.ts';
import type { Guess } from '../guesses/penalties.ts';
import type { LedgerEntry } from '../ledger/entries/entry.ts';
import { record } from '../ledger/entries/record.ts';
import { passOverRows } from '../passes/row-passes.ts';
import type { Login } from './login.ts';
import { type AccountFacts, findAccount } from './login-queries.ts';
import { countStranger, findStrangers, takeStrangers } from './stranger-queries.ts';

type Attempt = Params<EdgeToWarden, 'login.attempt'>;

// This is no valid account name. Looking it up finds nobody, at the same cost as a valid name.
const nobody = '-';

/**
 * Returns the account of this name. The look-up happens for every name, so that names that do not exist cost the same.
 */
export async function findNamed(tx: Transaction, username: string): ReturnType<typeof findAccount> {
  const { account, now } = await findAccount(tx, isValidAccountName(username) ? username : nobody);
  return { account: account?.name === username ? account : undefined, now };
}

/**
 * The credentials that an entry names. A key comes first, with the password beside it; a password stands first when
 * there is no key.
 */
export type GivenNames = { readonly credential: string | null; readonly alsoCredential: string | null };

/**
 * Returns the names of the credentials that counted as proofs. Credentials that were only shown are left out:
 * otherwise, whoever logs in with a stolen key could put the name of any other credential on the record.
 */
export function namesOfGiven(
  given: LoginState['given'],
  nameOf: (credential: CredentialId) => string | undefined,
): GivenNames {
  const [key, password] = (['public-key', 'password'] as const).map((proof) => {
    const credential = given.get(proof) ?? null;
    return credential === null ? null : (nameOf(credential) ?? null);
  });
  return key
    ? { credential: key, alsoCredential: password ?? null }
    : { credential: password ?? null, alsoCredential: null };
}

const namesOfProved = (login: Login): GivenNames => namesOfGiven(login.state.given, (id) => login.proved.get(id));

/**
 * Returns the names for the entry of a refusal: first the credential that this message showed, then those that had
 * counted before, and, when none had counted, the one that was shown last. The first two different names are taken.
 */
function namesOfRefused(login: Login, { evidence }: Attempt): GivenNames {
  const { credential: first, alsoCredential: second } = namesOfProved(login);
  const isShown = evidence.type === 'public-key' || evidence.type === 'password';
  const names = [isShown ? login.shown : null, first, second, first === null ? login.shown : null].filter(
    (name) => name !== null,
  );
  const [credential = null, alsoCredential = null] = new Set(names);
  return { credential, alsoCredential };
}

function entryOf(
  names: GivenNames,
  login: Login,
  params: Attempt,
  caller: EdgeCaller,
  account: AccountFacts | undefined,
) {
  return {
    customer: account?.customer ?? null,
    account: account?.id ?? null,
    node: caller.node,
    plane: caller.plane,
    observer: 'warden',
    ...names,
    source: params.source,
    client: login.issued.client,
  } as const satisfies Partial<LedgerEntry>;
}

/**
 * Records that a proof counted and that more are needed. It is called inside the transaction in which the proof
 * counted, so that a stolen key that waits for its second factor leaves a trace.
 */
export async function recordPartial(
  tx: Transaction,
  login: Login,
  params: Attempt,
  caller: EdgeCaller,
  account: AccountFacts | undefined,
): Promise<void> {
  await record(tx, {
    ...entryOf(namesOfProved(login), login, params, caller, account),
    kind: 'login.partial',
    public: { proofs: [...login.state.given.keys()].sort() },
  });
}

/**
 * Records one refusal, or counts it for its network when nobody has the name and the credential is unknown. It uses a
 * transaction of its own, because the transaction that refused may have been rolled back.
 */
export async function recordFailure(
  database: Database,
  login: Login,
  params: Attempt,
  caller: EdgeCaller,
  guess: Guess | undefined,
): Promise<void> {
  await database.withSystem(async (tx) => {
    const { account } = await findNamed(tx, params.username);
    const names = namesOfRefused(login, params);
    const isKnown =
      names.credential !== null && (await findCredentialByFingerprint(tx, names.credential, 'to-tell')) !== undefined;
    if (account === undefined && !isKnown) {
      await countStranger(tx, caller.node, sourceOf(params.source.address), login.issued.client);
      return;
    }
    await record(tx, {
      ...entryOf(names, login, params, caller, account),
      kind: 'login.refused',
      public: {
        evidence: params.evidence.type,
        proofs: [...login.state.given.keys()].sort(),
        examined: guess?.isTaken ?? true,
      },
    });
    // An alert is raised only when the counters refused the guess. A guess that was given back was not examined for
    // lack of time, which says nothing about the account.
    if (guess === undefined || guess.isTaken || guess.isGivenBack === true || account === undefined) return;
    await insertAlert(tx, {
      kind: 'login.guessing',
      severity: 'warning',
      subject: account.id,
      customer: account.customer,
      account: account.id,
      text: `guesses against ${account.name} come faster than the limit allows; further ones are refused unexamined; last from ${params.source.address}`,
      facts: { account: account.name, source: params.source.address, isKnownSource: guess.isKnown },
      nextCommand: `cofferctl account lock ${account.name} --reason TEXT; or, when it was its holder: cofferctl account unlock ${account.name} --reason TEXT`,
    });
  });
}

/** Turns the counts of strangers of minutes that have passed into entries of the record. */
export async function recordStrangers(warden: Pick<Warden, 'database' | 'log'>): Promise<void> {
  await passOverRows(warden, 'strangers', {
    find: findStrangers,
    work: async (tx, keys) => {
      for (const { minute, node, source, attempts, client } of await takeStrangers(tx, keys))
        await record(tx, {
          kind: 'login.strangers',
          node,
          observer: 'warden',
          source: { address: source, port: 0 },
          client,
          public: { attempts, minute: minute.toISOString() },
        });
    },
  });
}
