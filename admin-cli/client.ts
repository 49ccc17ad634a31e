// Owns: the operator's connection to the admin process: TLS 1.3 with a client certificate over the unix socket.
// Must never: send anything before the server's certificate was checked against the installation's authority.
import { readFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { CofferdamError } from '../server/domain/errors.ts';
import type { Params, Result } from '../server/rpc/operation.ts';
import { type OperatorOperation, type OperatorToAdmin, operatorToAdmin } from '../server/rpc/operator-admin.ts';
import { Peer } from '../server/rpc/peer.ts';
import { createSigner, type Wish } from './signing.ts';

const serverName = 'cofferdam-admin';
const connectMs = 5000;
const nothing = {} as const;

export type Identity = { readonly directory: string; readonly socket: string };
export type Client = {
  call<K extends OperatorOperation>(operation: K, params: Params<OperatorToAdmin, K>): Promise<Result<OperatorToAdmin, K>>;
  /** Signs and proposes; `applied` is not null when a prepared emergency let it through at once. */
  propose(wish: Wish): Promise<Result<OperatorToAdmin, 'change.propose'>>;
  /** Signs an approval of the text with this hash, and sends it. */
  approve(change: string, hash: string): Promise<Result<OperatorToAdmin, 'change.approve'>>;
  close(): void;
};

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

/** Connects, or says why not and what to do. */
export function connect({ directory, socket }: Identity): Promise<Client> {
  const files = {
    cert: readIdentity(directory, 'cert.pem'),
    key: readIdentity(directory, 'key.pem'),
    ca: readIdentity(directory, 'ca.pem'),
  };
  return new Promise((resolve, reject) => {
    const refuse = (text: string) => (cause?: Error) =>
      reject(new CofferdamError('unavailable', `${text}${cause === undefined ? '' : ` (${cause.message})`}`, { cause }));
    const plain = connectSocket(socket);
    plain.once('error', refuse(`the gateway does not answer on ${socket}: is it running? Nothing was done`));
    const stream = connectTls({
      ...files,
      socket: plain,
      servername: serverName,
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
      timeout: connectMs,
    });
    stream.once('error', refuse('the admin process refused this certificate, or is not the one of this installation. Nothing was done'));
    stream.once('timeout', refuse('the admin process does not answer in time. Nothing was done'));
    stream.once('secureConnect', () => {
      stream.setTimeout(0);
      const peer = new Peer({
        stream,
        serves: nothing,
        handlers: nothing,
        calls: operatorToAdmin,
        caller: undefined,
        onClose: () => {},
        onBug: () => {},
      });
      const self = async () => ({
        name: (await peer.call('whoami', {})).operator,
        installation: (await peer.call('installation', {})).installation,
      });
      resolve({
        call: (operation, params) => peer.call(operation, params),
        propose: async (wish) => {
          const { name, installation } = await self();
          const { document, signature, hash } = createSigner(directory, files.key).propose(name, installation, wish);
          const answer = await peer.call('change.propose', { document, signature });
          if (answer.hash !== hash) throw new CofferdamError('corrupt', 'the gateway has another text than the one that was signed');
          return answer;
        },
        approve: async (change, hash) => {
          const { name, installation } = await self();
          const { document, signature } = createSigner(directory, files.key).approve(name, installation, change, hash);
          return peer.call('change.approve', { document, signature });
        },
        close: () => peer.close(),
      });
    });
  });
}
