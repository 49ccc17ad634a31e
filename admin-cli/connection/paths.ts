// Owns: the paths that a command line names, or that are usual: the identity of the operator, the address of the admin
// process, the socket of the bootstrap, and the copy of the witness.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loopbackAddress, parseHostPort } from '../../server/domain/addresses.ts';
import { invalid } from '../terminal/invalid.ts';
import type { General } from '../terminal/next-line.ts';
import type { AdminAddress, Identity } from './identity.ts';

type Paths = Identity & { readonly bootstrapSocket: string; readonly witness: string };

/**
 * Parses the local end of a tunnel. It must be on this machine: another address is a mistake, or a listener that must
 * not exist.
 */
function tunnelEnd(text: string): AdminAddress {
  const end = parseHostPort(text);
  if (end === undefined || (end.host !== 'localhost' && loopbackAddress(end.host) === undefined))
    throw invalid(
      `--address takes a forwarded port on this machine, such as 127.0.0.1:7022 or [::1]:7022, not "${text}"`,
    );
  return end;
}

/**
 * Returns the paths for these general options. COFFERDAM_VAR names another runtime directory than `var/` of this
 * clone.
 */
export function pathsOf({ operator, identity, socket, address }: General): Paths {
  const runtime = process.env.COFFERDAM_VAR || join(import.meta.dirname, '..', '..', 'var');
  const operators = join(runtime, 'operators');
  const name = operator ?? (existsSync(operators) ? readdirSync(operators).sort()[0] : undefined) ?? 'alice';
  if (socket !== undefined && address !== undefined) throw invalid('--socket and --address exclude each other');
  const admin = address === undefined ? (socket ?? join(runtime, 'run', 'admin', 'admin.sock')) : tunnelEnd(address);
  return {
    directory: identity ?? join(operators, name),
    socket: admin,
    bootstrapSocket: socket ?? join(runtime, 'run', 'bootstrap', 'bootstrap.sock'),
    witness: join(runtime, 'witness'),
  };
}
