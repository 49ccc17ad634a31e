// Owns: two operators who agree: whatever needs a second one is proposed by alice and approved by bob, through the real
// interfaces.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, connect } from '../../admin-cli/connection/client.ts';
import type { ChangingOperation } from '../../admin-cli/verb/change.ts';
import { verbs } from '../../admin-cli/verbs.ts';
import { errorCodes, toCofferdamError } from '../../server/domain/errors.ts';
import { documentHash } from '../../server/rpc/change-document.ts';
import { type OperatorOperation, operatorToAdmin } from '../../server/rpc/operators/table.ts';
import { issueOperatorCertificate } from './issued.ts';
import type { Done, World } from './world.ts';

type Run = (args: readonly string[], input?: string) => Promise<Done>;

const verbOf = (args: readonly string[]) => verbs.find((one) => one.words.every((word, i) => args[i] === word));

type Places = { readonly directoryOf: (operator: string) => string; readonly socket: string };

/** As the other one would on a command line: reads the text, signs its hash. */
async function approve(
  { directoryOf, socket }: Places,
  operator: string,
  change: string,
  hash: string,
): Promise<Record<string, unknown>> {
  const client = await connect({ directory: directoryOf(operator), socket });
  try {
    const { document } = await client.call('change.show', { change });
    if (documentHash(document) !== hash) throw new Error('another text than was proposed');
    return (await client.approve(change, hash)).result;
  } finally {
    client.close();
  }
}

/**
 * Runs a command of cofferctl until it takes effect: `--execute` where it changes something, and the approval where it
 * needs one.
 */
export async function agreed(run: Run, places: Places, args: readonly string[], input = ''): Promise<Done> {
  const verb = verbOf(args);
  if (verb?.changes !== true || args.includes('--help')) return run(args, input);
  const done = await run(args.includes('--execute') ? args : [...args, '--execute'], input);
  const isJson = args.includes('--json');
  const pattern = isJson
    ? /"change": "([0-9a-f-]{36})",\s+"hash": "([0-9a-f]{64})"/g
    : /approve ([0-9a-f-]{36}) --hash ([0-9a-f]{64})/g;
  const proposals = [...done.out.matchAll(pattern)];
  if (done.code !== 0 || proposals.length === 0) return done;
  const at = args.indexOf('--operator');
  const other = args[at + 1] === 'bob' && at >= 0 ? 'alice' : 'bob';
  let result: Record<string, unknown> = {};
  for (const [, change = '', hash = ''] of proposals) {
    try {
      result = await approve(places, other, change, hash);
    } catch (error) {
      const { code, message } = toCofferdamError(error);
      return { code: errorCodes[code].exit, out: done.out, err: message };
    }
  }
  const out = isJson
    ? JSON.stringify({ ...(JSON.parse(done.out) as object), ...result, proposed: false, executed: true }, null, 2)
    : `${done.out}${Object.entries(result)
        .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}\n`)
        .join('')}`;
  return { ...done, out };
}

/** A connection of alice whose calls bob approves where they need it. */
export async function connectAgreed({ directoryOf, socket }: Places): Promise<Client> {
  const alice = await connect({ directory: directoryOf('alice'), socket });
  const bob = await connect({ directory: directoryOf('bob'), socket });
  const call = async (operation: OperatorOperation, params: unknown): Promise<unknown> => {
    const row = operatorToAdmin[operation];
    if (row.second !== 'never') {
      const wish = { operation: operation as ChangingOperation, params: params as Record<string, unknown> };
      const { needsSecond } = await alice.call('plan', wish);
      if (needsSecond) {
        const { change } = await alice.propose({ ...wish, reason: 'test' });
        const { document } = await bob.call('change.show', { change });
        return (await bob.approve(change, documentHash(document))).result;
      }
    }
    return alice.call(operation, params as never);
  };
  return {
    ...alice,
    call: call as Client['call'],
    close: () => {
      alice.close();
      bob.close();
    },
  };
}

/**
 * One more operator, with a key and a certificate of the installation's authority, made by two. Returns the directory
 * of the identity.
 */
export async function addOperator(world: World, name: string, role: string): Promise<string> {
  const certs = join(world.directory, 'certs', 'authority');
  const authority = {
    certificate: readFileSync(join(certs, 'cert.pem'), 'utf8'),
    key: readFileSync(join(certs, 'key.pem'), 'utf8'),
  };
  const issued = await issueOperatorCertificate(authority, name, 1);
  const directory = join(world.directory, `operator-${name}`);
  mkdirSync(directory, { mode: 0o700 });
  for (const [file, text] of [
    ['cert.pem', issued.certificate],
    ['key.pem', issued.key],
    ['ca.pem', authority.certificate],
  ] as const)
    writeFileSync(join(directory, file), text, { mode: 0o600 });
  const made = await world.cofferctl([
    'operator',
    'create',
    name,
    '--role',
    role,
    '--certificate',
    join(directory, 'cert.pem'),
    '--reason',
    'test',
  ]);
  if (made.code !== 0) throw new Error(made.err);
  return directory;
}
