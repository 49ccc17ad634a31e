// Owns: the admin process: one operator per connection, and the gate that every call passes.
// Must never: let a call through without a valid certificate, an operator, a sufficient role and an entry in the record
// (T-04).
import { createHash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type Config, runtimePaths } from '../config/config.ts';
import { held } from '../domain/detached.ts';
import { CofferdamError, toCofferdamError } from '../domain/errors.ts';
import { stopsWith } from '../domain/lifetimes.ts';
import type { Claim } from '../domain/share.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { Database } from '../postgres/database.ts';
import { roleUrl } from '../postgres/role-url.ts';
import { type Call, type Door, takeFault } from '../rpc/door.ts';
import type { Handlers } from '../rpc/operation.ts';
import { mayCall, type OperatorOperation, type OperatorToAdmin, operatorToAdmin } from '../rpc/operators/table.ts';
import { Peer, peerLimits } from '../rpc/peer.ts';
import { onBehalfOf } from '../rpc/slots.ts';
import { CommandQueue } from './calls/command-queue.ts';
import { findOperator, type Operator, recordCall } from './calls/operator-queries.ts';
import { type AdminSlots, adminSlots, claimOfKey, claimOfOperator, isLongLook, placeFor } from './calls/shares.ts';
import { adminHandlers } from './handlers.ts';
import { Scopes } from './incident/scopes.ts';
import { OwnEntries } from './ledger/born.ts';
import { Verifications } from './ledger/verification.ts';
import { Guests } from './listeners/guests.ts';
import { Listener } from './listeners/listener.ts';
import { refusalOf, TrustFiles } from './listeners/trust.ts';
import type { OperatorCaller } from './reading/reading.ts';

type Serve = (caller: OperatorCaller) => Promise<unknown>;

const nothing = {} as const;
/** How long a refused connection stays open, so that the client can read the reason. */
const refusedMs = 2000;
/**
 * How many calls of one connection may run or wait before the connection is read no further. The limit that counts is
 * the one for all connections of a person.
 */
const limits = { ...peerLimits, inboundCallsMax: 32 };

/**
 * An entry that came back from the database otherwise than it was sent is tried 4 times: the second time at once, then
 * after 500 ms each.
 */
const [writesMax, writeAgainMs] = [4, 500];

/**
 * Writes what an operator asked, or was answered. When the entry came back otherwise than it was sent, looks at the
 * database again and writes the entry again: what this process knows of the database may be a second old, and a
 * failover, a restored backup or a jump of the clock may have come since. Throws `unavailable` when no attempt
 * succeeds. Throws at once when no entry of this process came back so, for example when the connection was lost.
 */
async function write(
  { database, entries }: Pick<Serving, 'database' | 'entries'>,
  kind: 'operator.asked' | 'operator.answered',
  facts: Readonly<Record<string, unknown>> & { readonly operator: string },
): Promise<void> {
  for (let tries = 1; ; tries += 1)
    try {
      return await database.withSystem((tx) => recordCall(tx, kind, facts));
    } catch (error) {
      if (tries === writesMax || toCofferdamError(error).code !== 'unavailable' || !entries.hasRefused) throw error;
      await new Promise((resolve) => setTimeout(resolve, tries === 1 ? 0 : writeAgainMs));
      await entries.look(database);
    }
}

/**
 * The gate of every call: the operator is known and active, the role suffices, and the question and the answer are
 * recorded. The parameters are recorded before they are parsed, shortened by `bounded`.
 */
async function gated(
  { op, params }: Call,
  caller: OperatorCaller,
  claim: Claim,
  serving: Serving,
  serve: Serve,
): Promise<unknown> {
  const { slots } = serving;
  const operation = op as OperatorOperation;
  const operator = await caller.operator();
  const { certificate } = caller;
  const facts = { operator: operator.name, role: operator.role, certificate, operation };
  const isAllowed = mayCall(operator.role, operatorToAdmin[operation].role);
  await write(serving, 'operator.asked', { ...facts, params: bounded(params), allowed: isAllowed });
  if (!isAllowed)
    throw new CofferdamError(
      'denied',
      `${operation} needs the role ${operatorToAdmin[operation].role}; you are ${operator.role}`,
    );
  const answer = (): Promise<unknown> => serve({ ...caller, operator: async () => operator });
  const outcome = await (isLongLook(operation) ? slots.searches.within(claim, answer) : answer()).then(
    (result) => ({ result }),
    (thrown: unknown) => ({ thrown }),
  );
  const code = 'thrown' in outcome ? toCofferdamError(outcome.thrown).code : 'ok';
  await write(serving, 'operator.answered', { ...facts, outcome: code });
  if ('thrown' in outcome) throw outcome.thrown;
  return outcome.result;
}

/**
 * Returns the door for the calls of an operator. What a call uses counts for the person, however many connections that
 * person has, and nothing of a call is parsed before it has a place.
 */
function doorOf(caller: OperatorCaller, serving: Serving): Door<OperatorCaller> {
  const { slots, log } = serving;
  const { fingerprint } = caller.certificate;
  let person = claimOfKey(fingerprint);
  let name: string | undefined;
  return {
    within: async (call, serve) => {
      const claim = await caller.claim;
      person = claim;
      return slots.calls.within(claim, () => {
        if (caller.isGone()) throw new CofferdamError('unavailable', 'the caller has disconnected');
        const named: Serve = async (as) => {
          name = (await as.operator()).name;
          return serve(as);
        };
        return onBehalfOf(claim, () => gated(call, caller, claim, serving, named));
      });
    },
    mayErr: (what) => {
      const may = takeFault(slots.faults, person);
      log.warn({ operator: name, certificate: fingerprint, what }, 'an operator sent a malformed message');
      return may;
    },
  };
}

const paramsBytesMax = 4096;
const plainText = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');
/** Replaces in JSON, in strings and in names of properties, every character that the database cannot store. */
function storable(_name: string, value: unknown): unknown {
  if (typeof value === 'string') return plainText(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [plainText(name), one]));
}

/** Returns the parameters as JSON text, or undefined when they are nested too deeply to be written. */
function textOf(raw: unknown): string | undefined {
  try {
    return JSON.stringify(raw, storable) ?? 'null';
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/**
 * Returns the parameters as the record keeps them: complete when they are short; otherwise their beginning, their
 * length in bytes and their hash; and only a note when they are nested too deeply to be written.
 */
function bounded(raw: unknown): unknown {
  const text = textOf(raw);
  if (text === undefined) return { cut: true, beginning: 'nested too deeply to be written down' };
  const params: unknown = JSON.parse(text);
  if (Buffer.byteLength(text) <= paramsBytesMax) return params;
  return {
    cut: true,
    bytes: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest('hex'),
    beginning: plainText(text.slice(0, paramsBytesMax / 4)),
  };
}

function spkiFingerprint(certificate: X509Certificate): string {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

type Serving = {
  readonly database: Database;
  readonly entries: OwnEntries;
  readonly handlers: Handlers<OperatorToAdmin, OperatorCaller>;
  readonly trust: TrustFiles;
  readonly slots: AdminSlots;
  readonly refused: Guests;
  readonly log: Logger;
};

/**
 * Takes a place for this connection among those of its person and returns whose it is. Throws `over-limit` when the
 * person has too many connections; the connection is closed a moment later.
 */
async function admit(
  socket: TLSSocket,
  fingerprint: string,
  { database, slots, refused, log }: Serving,
): Promise<Claim> {
  const claimOfCertificate = claimOfKey(fingerprint);
  const found = await onBehalfOf(claimOfCertificate, () => database.withSystem((tx) => findOperator(tx, fingerprint)));
  const claim = found === undefined ? claimOfCertificate : claimOfOperator(found);
  try {
    const release = slots.connections.take(claim);
    if (socket.destroyed) release();
    else socket.once('close', release);
    return claim;
  } catch (error) {
    log.warn(
      { certificate: fingerprint, operator: found?.name },
      'an operator connection was refused: this person has too many connections',
    );
    refused.add(socket);
    setTimeout(() => socket.destroy(), refusedMs).unref();
    throw error;
  }
}

function serve(socket: TLSSocket, certificate: X509Certificate, serving: Serving): void {
  const { database, handlers, trust, log } = serving;
  const shown = { fingerprint: spkiFingerprint(certificate), serial: certificate.serialNumber.toLowerCase() };
  const operator = async (): Promise<Operator> => {
    const refusal = refusalOf(trust.current, certificate);
    const found =
      refusal === undefined ? await database.withSystem((tx) => findOperator(tx, shown.fingerprint)) : undefined;
    if (found !== undefined) return found;
    log.warn({ certificate: shown, reason: refusal ?? 'no operator' }, 'a call without an active operator was refused');
    throw new CofferdamError('denied', refusal ?? 'this certificate belongs to no active operator');
  };
  // When the connection is refused, each call gets the refusal. A connection without a call is just closed.
  const claim = held(admit(socket, shown.fingerprint, serving));
  new Peer({
    stream: socket,
    serves: operatorToAdmin,
    handlers,
    calls: nothing,
    door: doorOf(
      { operator, certificate: shown, claim, isGone: () => socket.destroyed || socket.writableEnded },
      serving,
    ),
    limits,
    onClose: () => {},
    onBug: (op, error) => log.error({ op, err: error }, 'defect in a handler'),
  });
}

/**
 * Starts the admin process and resolves when operators can reach it. What was started is stopped again when the start
 * fails.
 */
export async function startAdmin(config: Config): Promise<{ stop(): Promise<void> }> {
  await using starting = new AsyncDisposableStack();
  const log = createLogger(config, 'admin');
  const trust = new TrustFiles(`${runtimePaths(config).certs}/admin`, log);
  const slots = adminSlots(config.shares.admin);
  const entries = new OwnEntries(config.limits, log);
  const database = new Database({
    url: roleUrl(config, 'admin'),
    applicationName: 'cofferdam admin',
    connectionsMax: config.shares.admin.transactions.total,
    admission: () => placeFor(slots),
    drafts: () => entries.begin(),
    onUnreachable: (cause) =>
      log.error({ err: cause }, 'no connection to the database: operators are told that it cannot be reached'),
  });
  starting.defer(() => database.close());
  const scopes = stopsWith(starting, Scopes.of(config));
  const verifications = stopsWith(starting, new Verifications(database, config.shares.admin.verifications));
  const commands = stopsWith(starting, new CommandQueue(database, slots));
  await commands.start();
  stopsWith(starting, entries);
  entries.start(database);
  const read = database.withSystem.bind(database);
  const handlers = adminHandlers({ config, database, read, commands }, scopes, verifications);
  const refused = new Guests(config.shares.admin.handshakes);
  const serving: Serving = { database, entries, handlers, trust, slots, refused, log };
  stopsWith(
    starting,
    await Listener.start({ config, trust, log, serve: (socket, certificate) => serve(socket, certificate, serving) }),
  );
  log.info('admin serves');
  const started = starting.move();
  return { stop: () => started.disposeAsync() };
}
