// Owns: the operator's connection to the admin process: TLS 1.3 with a client certificate, over the unix socket or a tunnel's near end.
// Must never: send anything before the server's certificate was checked against the installation's authority.
import { readFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { CofferdamError } from '../server/domain/errors.ts';
import type { Params, Result } from '../server/rpc/operation.ts';
import { type OperatorOperation, type OperatorToAdmin, operatorToAdmin } from '../server/rpc/operator-admin.ts';
import { Peer } from '../server/rpc/peer.ts';
import { checkNotExpired, type Identity, placeName } from './identity.ts';

const serverName = 'cofferdam-admin';
const connectMs = 5000;
const nothing = {} as const;

export type Client = {
  call<K extends OperatorOperation>(operation: K, params: Params<OperatorToAdmin, K>): Promise<Result<OperatorToAdmin, K>>;
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
  checkNotExpired(directory);
  return new Promise((resolve, reject) => {
    const refuse = (text: string) => (cause?: Error) =>
      reject(new CofferdamError('unavailable', `${text}${cause === undefined ? '' : ` (${cause.message})`}`, { cause }));
    const plain = connectSocket(typeof socket === 'string' ? { path: socket } : { ...socket });
    plain.once('error', refuse(`the gateway does not answer on ${placeName(socket)}: is it running? Nothing was done`));
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
      // With TLS 1.3 the server looks at our certificate after we are done: its refusal arrives as an alert.
      let alert: string | undefined;
      stream.on('error', (error: NodeJS.ErrnoException) => {
        alert = /ALERT_([A-Z_]+)$/
          .exec(error.code ?? '')?.[1]
          ?.toLowerCase()
          .replaceAll('_', ' ');
      });
      const peer = new Peer({
        stream,
        serves: nothing,
        handlers: nothing,
        calls: operatorToAdmin,
        caller: undefined,
        onClose: () => {},
        onBug: () => {},
      });
      const explained = (error: unknown): never => {
        if (alert === undefined) throw error;
        throw new CofferdamError('denied', `the admin process refused this certificate (${alert}). Nothing was done`, { cause: error });
      };
      resolve({ call: (operation, params) => peer.call(operation, params).catch(explained), close: () => peer.close() });
    });
  });
}
