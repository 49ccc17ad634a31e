// Owns: where a new socket comes from: its own address, or what the PROXY header of a configured load balancer says.
// Must never: believe a PROXY header of anybody else, or wait long for one.
import { canonicalAddress, isInNetwork, type Network } from '../../domain/addresses.ts';
import type { SocketReader } from '../../rpc/own-buffer.ts';
import { type ProxySource, parseProxyHeader } from './proxy-protocol.ts';

const headerWaitMs = 5000;

/**
 * Calls `ready` once, with the source of the socket. Destroys the socket when its address is
 * unknown, and when a load balancer's header is malformed or has not arrived after `waitMs` milliseconds.
 */
export function whenSourceKnown(
  reader: SocketReader,
  balancers: readonly Network[],
  ready: (source: ProxySource) => void,
  waitMs = headerWaitMs,
): void {
  const { socket } = reader;
  const own = { address: canonicalAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
  if (own.address === '') return void socket.destroy();
  if (!balancers.some((network) => isInNetwork(own.address, network))) return ready(own);
  let held = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), waitMs);
  const drop = (): void => void socket.destroy();
  const take = (chunk: Buffer): number => {
    const before = held.length;
    held = Buffer.concat([held, chunk]);
    try {
      const header = parseProxyHeader(held);
      if (header.state === 'incomplete') return chunk.length;
      clearTimeout(timer);
      socket.off('error', drop);
      // What comes after the header waits in the reader for whoever reads next.
      reader.pause();
      ready(header.source ?? own);
      return header.bytes - before;
    } catch {
      socket.destroy();
      return chunk.length;
    }
  };
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', drop);
  reader.read(take);
  reader.resume();
}
