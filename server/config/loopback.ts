// Owns: resolving the host of the operators' TCP listener to one loopback address before anything is started.
// Must never: return a name. The address behind a name may change between this check and the listening.
import { lookup } from 'node:dns/promises';
import { addressBytes, loopbackAddress } from '../domain/addresses.ts';
import { CofferdamError } from '../domain/errors.ts';
import type { Config } from './config.ts';

const rule =
  'operators connect through SSH to the unix socket or to a loopback address (docs/operations/installation.md)';

/**
 * Returns why the listener may not use this host. Returns undefined for a loopback address, and for a name that has to
 * be looked up first.
 */
export function hostFault(host: string): string | undefined {
  if (loopbackAddress(host) !== undefined || addressBytes(host) === undefined) return undefined;
  return `admin.tcp: ${host} is no loopback address; ${rule}`;
}

/**
 * Returns the address to listen on, out of all addresses of a name. Throws `configuration` unless every one of them is
 * a loopback address.
 */
export function onlyLoopback(host: string, addresses: readonly string[]): string {
  const foreign = addresses.filter((one) => loopbackAddress(one) === undefined);
  const [first] = addresses.map(loopbackAddress);
  if (foreign.length > 0 || first === undefined)
    throw new CofferdamError(
      'configuration',
      `admin.tcp: ${host} resolves to ${foreign.join(', ') || 'nothing'}, not to loopback addresses only; ${rule}`,
    );
  return first;
}

/**
 * Returns the same configuration with an address in the place of a name. Throws `configuration` when the host is not
 * loopback or cannot be resolved.
 */
export async function withResolvedAdmin(config: Config): Promise<Config> {
  const { tcp } = config.admin;
  if (tcp === null) return config;
  const fault = hostFault(tcp.host);
  if (fault !== undefined) throw new CofferdamError('configuration', fault);
  const literal = loopbackAddress(tcp.host);
  const addresses = literal === undefined ? await addressesOf(tcp.host) : [literal];
  return Object.freeze({
    ...config,
    admin: Object.freeze({ tcp: Object.freeze({ ...tcp, host: onlyLoopback(tcp.host, addresses) }) }),
  });
}

async function addressesOf(host: string): Promise<readonly string[]> {
  try {
    return (await lookup(host, { all: true, order: 'ipv4first' })).map((one) => one.address);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new CofferdamError('configuration', `admin.tcp: ${host} cannot be resolved (${code}); ${rule}`, { cause });
  }
}
