// Owns: the operator's connection to the admin process: TLS 1.3 with a client certificate, over the unix socket or the
// local end of a tunnel.
// Must never: send anything before the server's certificate was verified against the installation's authority.
import { readFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { commandLife } from '../../server/domain/command-life.ts';
import { held } from '../../server/domain/detached.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { ownDoor } from '../../server/rpc/door.ts';
import type { Params, Result } from '../../server/rpc/operation.ts';
import { type OperatorOperation, type OperatorToAdmin, operatorToAdmin } from '../../server/rpc/operators/table.ts';
import { NoAnswer, Peer, peerLimits } from '../../server/rpc/peer.ts';
import { checkCall } from '../../server/rpc/wrong-form.ts';
import { createSigner, type Signer, type Wish } from '../signing/signer.ts';
import { plain } from '../terminal/output.ts';
import { type AdminAddress, addressText, checkNotExpired, type Identity } from './identity.ts';

const serverName = 'cofferdam-admin';
const connectMs = 5000;
const nothing = {} as const;
type Nothing = typeof nothing;
const unfit = 'the admin process refused this certificate, or is not the one of this installation. Nothing was done';
/** The connection ended before either side saw a certificate. */
const crowded =
  'the admin process ended the connection before either side had shown a certificate: too many connections are waiting, or it is stopping. Nothing was done: try again, and look at who else connects (`ss -xp`)';
const unheard =
  'the admin process ended the connection without an answer. It does this with a certificate that was revoked or is not of its authority, and with every certificate when its revocation list has expired; its log says which. Otherwise find out whether the call was done before you repeat it';

/** Longer than a call may wait in the admin process for its places, and then for the warden. */
const callTimeoutMs = 100_000;
const changesSomething = (operation: OperatorOperation): boolean => operatorToAdmin[operation].changes;
/** The text for an operator who got no answer to a call that changes something. */
const unknown = `no answer came: the command may have been done, or may still be done until ${commandLife.endMs / 1000} s after it was asked, and not later. Check before you repeat it (\`cofferctl report changes --since 1h\`)`;

export type Client = {
  call<K extends OperatorOperation>(
    operation: K,
    params: Params<OperatorToAdmin, K>,
  ): Promise<Result<OperatorToAdmin, K>>;
  /** Who this connection is, and of which installation. It is asked once, and remembered. */
  self(): Promise<Result<OperatorToAdmin, 'whoami'>>;
  /**
   * Signs and proposes a change. `applied` is not null when a prepared emergency (break-glass) let the change be
   * applied at once.
   */
  propose(wish: Wish): Promise<Result<OperatorToAdmin, 'change.propose'>>;
  /** Signs an approval of the text with this hash, and sends it. */
  approve(change: string, hash: string): Promise<Result<OperatorToAdmin, 'change.approve'>>;
  close(): void;
};

/**
 * Texts of the other side may quote what anybody wrote, so control characters in them are replaced before they reach
 * the terminal.
 */
function asShown(thrown: unknown): unknown {
  if (!(thrown instanceof CofferdamError)) return thrown;
  return new CofferdamError(thrown.code, plain(thrown.message.replaceAll('\n', ' ')), { cause: thrown });
}

function readIdentity(directory: string, name: string): Buffer {
  try {
    return readFileSync(join(directory, name));
  } catch (cause) {
    throw new CofferdamError(
      'configuration',
      `${join(directory, name)} cannot be read: name your identity with --identity DIR or --operator NAME`,
      { cause },
    );
  }
}

type Files = { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer };

/** Opens the connection. Rejects with a text that says why that was not possible and what to do. */
function open(address: AdminAddress, files: Files): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const refuse = (text: string) => (cause?: Error) =>
      reject(
        new CofferdamError('unavailable', `${text}${cause === undefined ? '' : ` (${cause.message})`}`, { cause }),
      );
    const opened = connectSocket(typeof address === 'string' ? { path: address } : { ...address });
    opened.once('error', (cause: NodeJS.ErrnoException) =>
      cause.code === 'EACCES'
        ? refuse(
            `this user may not open ${addressText(address)}: operators are members of the group cofferdam-operators. Nothing was done`,
          )()
        : refuse(`the gateway does not answer on ${addressText(address)}: is it running? Nothing was done`)(cause),
    );
    const stream = connectTls({
      ...files,
      socket: opened,
      servername: serverName,
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
      timeout: connectMs,
    });
    stream.once('error', (cause: NodeJS.ErrnoException) =>
      refuse(cause.code === 'ECONNRESET' || cause.code === 'EPIPE' ? crowded : unfit)(cause),
    );
    stream.once('timeout', refuse('the admin process does not answer in time. Nothing was done'));
    stream.once('secureConnect', () => {
      stream.setTimeout(0);
      resolve(stream);
    });
  });
}

/** Returns the calls over an open connection, with texts that say what is known when no answer came. */
function callsOver(peer: Peer<Nothing, OperatorToAdmin, undefined>): Client['call'] {
  // With TLS 1.3, the server checks our certificate after our side has finished the handshake. A refusal is
  // therefore a connection that ends without an answer.
  let isHeard = false;
  return async (operation, params) => {
    try {
      checkCall(operatorToAdmin, operation, params);
      const result = await peer.call(operation, params);
      isHeard = true;
      return result;
    } catch (cause) {
      const isGone = cause instanceof CofferdamError && cause.code === 'unavailable' && !peer.isOpen;
      if (!isHeard && isGone) throw new CofferdamError('unavailable', unheard, { cause });
      if (cause instanceof NoAnswer && changesSomething(operation))
        throw new CofferdamError('unavailable', unknown, { cause });
      throw asShown(cause);
    }
  };
}

/** Connects to the admin process. Rejects with a text that says why that was not possible and what to do. */
export async function connect({ directory, socket }: Identity): Promise<Client> {
  const files = {
    cert: readIdentity(directory, 'cert.pem'),
    key: readIdentity(directory, 'key.pem'),
    ca: readIdentity(directory, 'ca.pem'),
  };
  checkNotExpired(directory);
  const peer = new Peer({
    stream: await open(socket, files),
    serves: nothing,
    handlers: nothing,
    calls: operatorToAdmin,
    door: ownDoor(undefined),
    limits: { ...peerLimits, callTimeoutMs },
    onClose: () => {},
    onBug: () => {},
  });
  const call = callsOver(peer);
  let known: ReturnType<Client['self']> | undefined;
  const self: Client['self'] = () => {
    if (known !== undefined) return known;
    known = held(
      call('whoami', {}).catch((error: unknown) => {
        // What failed is asked again by whoever needs it next.
        known = undefined;
        throw error;
      }),
    );
    return known;
  };
  const signer = (): Signer => createSigner(directory, files.key);
  return {
    call,
    self,
    propose: async (wish) => {
      const { operator, installation } = await self();
      const { document, signature, hash } = signer().propose(operator, installation, wish);
      const answer = await call('change.propose', { document, signature });
      if (answer.hash !== hash)
        throw new CofferdamError('corrupt', 'the gateway has another text than the one that was signed');
      return answer;
    },
    approve: async (change, hash) => {
      const { operator, installation } = await self();
      const { document, signature } = signer().approve(operator, installation, change, hash);
      return call('change.approve', { document, signature });
    },
    close: () => peer.close(),
  };
}
