// Owns: the one operation that a new installation accepts from
// somebody who is not an operator: creating the first two operators.
// Must never: be served on anything but a socket in a directory that only root and the warden of this machine may enter
// (T-06).
import { connect } from 'node:net';
import { z } from 'zod';
import { CofferdamError } from '../../domain/errors.ts';
import { ownDoor } from '../door.ts';
import { operation, type Params, type Result } from '../operation.ts';
import { Peer } from '../peer.ts';
import { checkCall } from '../wrong-form.ts';
import { accountName } from './words.ts';

export const bootstrapOperations = {
  /**
   * Creates two security officers from the public halves of keys that
   * they made themselves. It is possible once, and refused ever after.
   */
  bootstrap: operation({
    changes: true,
    params: z.strictObject({
      operators: z.array(z.strictObject({ name: accountName, publicKey: z.base64().min(40).max(512) })).length(2),
    }),
    result: z.strictObject({ operators: z.array(z.strictObject({ name: z.string(), fingerprint: z.string() })) }),
  }),
} as const;
export type BootstrapOperations = typeof bootstrapOperations;

const nothing = {} as const;
const connectMs = 5000;

/**
 * Asks the warden of this machine to create the first two operators. Throws `invalid` for parameters of a wrong
 * form, `unavailable` when nothing answers on the socket, and `conflict` when there are operators already.
 */
export async function askBootstrap(
  path: string,
  params: Params<BootstrapOperations, 'bootstrap'>,
): Promise<Result<BootstrapOperations, 'bootstrap'>> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    // A process may listen on the socket without accepting: its queue is full, or it stands still.
    const timer = setTimeout(() => socket.destroy(new Error('no connection in time')), connectMs);
    socket.once('close', () => clearTimeout(timer));
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.once('error', (cause) =>
      reject(
        new CofferdamError(
          'unavailable',
          `the warden does not answer on ${path}: is it running here, and are you root on this machine? Nothing was done`,
          { cause },
        ),
      ),
    );
  });
  const peer = new Peer({
    stream: socket,
    serves: nothing,
    handlers: nothing,
    calls: bootstrapOperations,
    door: ownDoor(undefined),
    onClose: () => {},
    onBug: () => {},
  });
  try {
    checkCall(bootstrapOperations, 'bootstrap', params);
    return await peer.call('bootstrap', params);
  } finally {
    peer.close();
  }
}
