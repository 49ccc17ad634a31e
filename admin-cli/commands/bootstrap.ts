import { askBootstrap } from '../../server/rpc/bootstrap.ts';
import { type Command, type Given, positional } from '../command.ts';
import type { Output } from '../output.ts';
import { certificateOf } from './operator.ts';

/**
 * Creates the first two operators, over a socket that only root of this machine can reach. There is no operator yet who
 * could be asked.
 */
async function bootstrap(given: Given): Promise<Output> {
  const operators = [certificateOf(positional(given, 0)), certificateOf(positional(given, 1))];
  const data = await askBootstrap(given.places.bootstrapSocket, { operators });
  const lines = data.operators.map((one) => `${one.name.padEnd(18)} ${one.fingerprint}`);
  return {
    data,
    text: `the first two operators, both security officers:\n${lines.join('\n')}\nEach compares the fingerprint with their own: openssl x509 -in cert.pem -noout -pubkey | openssl pkey -pubin -outform der | sha256sum\n`,
  };
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
