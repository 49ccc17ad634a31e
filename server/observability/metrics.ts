// Owns: counters and gauges in the text format of Prometheus, served on loopback only. This is the only HTTP server of
// the product.
// Must never: listen on another address, or contain a name of a customer or account.
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { closedMs, happens } from '../domain/bounded.ts';
import { CofferdamError } from '../domain/errors.ts';

const host = '127.0.0.1';
const requestMs = 2000;
const connectionsMax = 16;

export type Reading = {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  /** A value that is not finite is written as 0. */
  readonly value: number;
  /** The values are fixed words of the code or of the configuration, so nothing in them needs to be escaped. */
  readonly labels?: Readonly<Record<string, string>>;
};

/** Returns the readings in the Prometheus text exposition format 0.0.4. Readings with the same name stand together. */
export function expose(readings: readonly Reading[]): string {
  return [...Map.groupBy(readings, ({ name }) => name)]
    .map(([name, same]) => {
      const lines = same.map(({ value, labels = {} }) => {
        const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
        return `cofferdam_${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${Number.isFinite(value) ? value : 0}\n`;
      });
      return `# HELP cofferdam_${name} ${same[0]?.help}\n# TYPE cofferdam_${name} ${same[0]?.kind}\n${lines.join('')}`;
    })
    .join('');
}

/** Returns the readings that every role reports about itself. */
function processReadings(): readonly Reading[] {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return [
    { name: 'process_resident_bytes', help: 'Resident memory.', kind: 'gauge', value: rss },
    { name: 'process_heap_bytes', help: 'JavaScript heap in use.', kind: 'gauge', value: heapUsed },
    {
      name: 'process_cpu_seconds_total',
      help: 'CPU time of this process.',
      kind: 'counter',
      value: (user + system) / 1e6,
    },
    { name: 'process_uptime_seconds', help: 'Seconds since start.', kind: 'gauge', value: process.uptime() },
  ];
}

/**
 * Serves GET /metrics on 127.0.0.1; every other request gets 404. `read` is called for each GET /metrics. When
 * `port` is null, nothing is served. Throws `configuration` when it cannot listen.
 */
export async function serveMetrics(
  port: number | null,
  read: () => readonly Reading[],
): Promise<{ readonly port: number | null; stop(): Promise<void> }> {
  if (port === null) return { port: null, stop: async () => {} };
  const server: Server = createServer((request, response) => {
    const isKnown = request.method === 'GET' && request.url === '/metrics';
    response.writeHead(isKnown ? 200 : 404, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
    response.end(isKnown ? expose([...processReadings(), ...read()]) : 'not found\n');
  });
  server.requestTimeout = requestMs;
  server.headersTimeout = requestMs;
  // When there are too many connections, the oldest is closed. An honest client is done at once, and silent sockets
  // must not keep others out.
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [oldest] = open;
    if (open.size > connectionsMax) oldest?.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new CofferdamError('configuration', `metrics cannot listen on ${host}:${port}`, { cause })),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // A client in the middle of a request must not delay the stop of the process.
      for (const socket of open) socket.destroy();
      await happens(closedMs, closed);
    },
  };
}
