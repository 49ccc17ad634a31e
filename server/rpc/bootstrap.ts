// Owns: the one thing that may be asked of a new installation without being an operator: to make the first two.
// Must never: be served on anything but a socket in a directory that only the machine's root and the warden may enter (T-06).
import { connect } from 'node:net';
import { z } from 'zod';
import { CofferdamError } from '../domain/errors.ts';
import { ownDoor } from './door.ts';
import { operation, type Params, type Result } from './operation.ts';
import { accountName } from './operator-words.ts';
import { Peer } from './peer.ts';
import { checkCall } from './wrong-form.ts';

export const bootstrapOperations = {
  /** Two security officers, by the public halves of keys that they made themselves. Once; refused ever after. */
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

/** Asks the warden of this machine. Throws `unavailable` when nothing answers on the socket, `conflict` when there are operators. */
export async function askBootstrap(
  path: string,
  params: Params<BootstrapOperations, 'bootstrap'>,
): Promise<Result<BootstrapOperations, 'bootstrap'>> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    // One that listens and does not accept: its queue is full, or it stands still.
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
