// Owns: what the record says of logins that opened no session: a proof that counted, a proof that was refused, strangers by the minute.
// Must never: keep the name that a stranger typed: it may be a password.
import { sourceOf } from '../../domain/addresses.ts';
import type { CredentialId } from '../../domain/ids.ts';
import type { LoginState } from '../../domain/login-machine.ts';
import { isValidAccountName } from '../../domain/paths.ts';
import type { Database, Transaction } from '../../postgres/database.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params } from '../../rpc/operation.ts';
import { insertAlert } from '../alerts/alert-queries.ts';
import type { EdgeCaller, LedgerEntry, Warden } from '../context.ts';
import { findCredentialByFingerprint } from '../credentials/credential-queries.ts';
import { record } from '../ledger/ledger-queries.ts';
import { countStranger, findStrangers, takeStrangers } from '../ledger/stranger-queries.ts';
import { passOverRows } from '../row-passes.ts';
import type { Login } from './login.ts';
import { type AccountFacts, findAccount } from './login-queries.ts';
import type { Guess } from './penalties.ts';

type Attempt = Params<EdgeToWarden, 'login.attempt'>;

// Not a valid account name: finds nobody, at the same cost.
const nobody = '-';

/** The account of this name; the look-up happens for every name. */
export async function findNamed(tx: Transaction, username: string): ReturnType<typeof findAccount> {
  const { account, now } = await findAccount(tx, isValidAccountName(username) ? username : nobody);
  return { account: account?.name === username ? account : undefined, now };
}

/** A key names a login, a password does beside it or alone. */
export type GivenNames = { readonly credential: string | null; readonly alsoCredential: string | null };

/** Of what counted, by credential; never of what else was shown: whoever logs in with a stolen key could name any other one. */
export function namesOfGiven(given: LoginState['given'], nameOf: (credential: CredentialId) => string | undefined): GivenNames {
  const [key, password] = (['public-key', 'password'] as const).map((proof) => {
    const credential = given.get(proof) ?? null;
    return credential === null ? null : (nameOf(credential) ?? null);
  });
  return key ? { credential: key, alsoCredential: password ?? null } : { credential: password ?? null, alsoCredential: null };
}

const namesOfProved = (login: Login): GivenNames => namesOfGiven(login.state.given, (id) => login.proved.get(id));

/** Of a refusal: what was shown in this message, else what had counted before, else what was shown last; then the next of them. */
function namesOfRefused(login: Login, { evidence }: Attempt): GivenNames {
  const { credential: first, alsoCredential: second } = namesOfProved(login);
  const isShown = evidence.type === 'public-key' || evidence.type === 'password';
  const names = [isShown ? login.shown : null, first, second, first === null ? login.shown : null].filter((name) => name !== null);
  const [credential = null, alsoCredential = null] = new Set(names);
  return { credential, alsoCredential };
}

function entryOf(names: GivenNames, login: Login, params: Attempt, caller: EdgeCaller, account: AccountFacts | undefined) {
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

/** Inside the transaction in which the proof counted: a stolen key that waits for its second factor leaves a trace. */
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

/** One entry a refusal, in its own transaction: the one that refused may have been rolled back. */
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
    const isKnown = names.credential !== null && (await findCredentialByFingerprint(tx, names.credential, 'to-tell')) !== undefined;
    if (account === undefined && !isKnown) {
      await countStranger(tx, caller.node, sourceOf(params.source.address), login.issued.client);
      return;
    }
    await record(tx, {
      ...entryOf(names, login, params, caller, account),
      kind: 'login.refused',
      public: { evidence: params.evidence.type, proofs: [...login.state.given.keys()].sort(), examined: guess?.isTaken ?? true },
    });
    // Where nobody had the time to look, the account is not what is under attack.
    if (guess === undefined || guess.isTaken || guess.isGivenBack === true || account === undefined) return;
    await insertAlert(tx, {
      kind: 'login.guessing',
      severity: 'warning',
      subject: account.id,
      customer: account.customer,
      account: account.id,
      text: `guesses against ${account.name} come faster than they are examined; last from ${params.source.address}`,
      facts: { account: account.name, source: params.source.address, isKnownSource: guess.isKnown },
      nextCommand: `cofferctl account lock ${account.name} --reason TEXT; or, when it was its holder: cofferctl account unlock ${account.name} --reason TEXT`,
    });
  });
}

/** Minutes that are over become entries. */
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
