import { connect } from 'node:net';
import { CofferdamError } from '../../server/domain/errors.ts';
import { bootstrapOperations } from '../../server/rpc/bootstrap.ts';
import { Peer } from '../../server/rpc/peer.ts';
import { type Command, type Given, positional } from '../command.ts';
import type { Output } from '../output.ts';
import { certificateOf } from './operator.ts';

const nothing = {} as const;

/** By a socket that only root of this machine reaches; no operator exists yet who could be asked. */
async function bootstrap(given: Given): Promise<Output> {
  const operators = [certificateOf(positional(given, 0)), certificateOf(positional(given, 1))];
  const path = given.places.bootstrapSocket;
  const socket = connect(path);
  const isThere = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  if (!isThere)
    throw new CofferdamError(
      'unavailable',
      `the warden does not answer on ${path}: is it running here, and are you root on this machine? Nothing was done`,
    );
  const peer = new Peer({
    stream: socket,
    serves: nothing,
    handlers: nothing,
    calls: bootstrapOperations,
    caller: undefined,
    onClose: () => {},
    onBug: () => {},
  });
  try {
    const data = await peer.call('bootstrap', { operators });
    const lines = data.operators.map((one) => `${one.name.padEnd(18)} ${one.fingerprint}`);
    return {
      data,
      text: `the first two operators, both security officers:\n${lines.join('\n')}\nEach compares the fingerprint with their own: openssl x509 -in cert.pem -noout -pubkey | openssl pkey -pubin -outform der | sha256sum\n`,
    };
  } finally {
    peer.close();
  }
}

export const bootstrapCommand: Command = {
  words: ['bootstrap'],
  positionals: ['CERTIFICATE', 'CERTIFICATE'],
  options: [],
  help: 'Makes the first two operators of a new installation, on its own machine, once. Their names are those in their certificates.',
  example: 'cofferctl bootstrap alice.pem bob.pem',
  local: bootstrap,
  run: (_client, given) => bootstrap(given),
};
