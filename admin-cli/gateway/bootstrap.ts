// Owns: `cofferctl bootstrap`.
import { askBootstrap } from '../../server/rpc/operators/bootstrap.ts';
import { certificateOf } from '../operator/certificate.ts';
import type { Output } from '../terminal/output.ts';
import { type Given, positional, type Verb } from '../verb/verb.ts';

/**
 * Creates the first two operators, over a socket that only root of this machine can reach. There is no operator yet who
 * could be asked.
 */
async function bootstrap(given: Given): Promise<Output> {
  const operators = [certificateOf(positional(given, 0)), certificateOf(positional(given, 1))];
  const data = await askBootstrap(given.paths.bootstrapSocket, { operators });
  const lines = data.operators.map((one) => `${one.name.padEnd(18)} ${one.fingerprint}`);
  return {
    data,
    text: `the first two operators, both security officers:\n${lines.join('\n')}\nEach compares the fingerprint with their own: openssl x509 -in cert.pem -noout -pubkey | openssl pkey -pubin -outform der | sha256sum\n`,
  };
}

export const bootstrapVerb: Verb = {
  words: ['bootstrap'],
  positionals: ['CERTIFICATE', 'CERTIFICATE'],
  options: [],
  help: 'Makes the first two operators of a new installation, on its own machine, once. Their names are those in their certificates.',
  example: 'cofferctl bootstrap alice.pem bob.pem',
  operations: [],
  local: bootstrap,
  run: (_client, given) => bootstrap(given),
};
