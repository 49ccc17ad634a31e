// Owns: a port scanner: `node scan-ports.ts HOST` connects to every TCP port of a host, a number at a time, and prints
// as JSON how each answered.
import { connect } from 'node:net';

const portsMax = 65_535;
const atOnce = 400;
const answerMs = 10_000;
const bannerMs = 3000;

export type Scan = {
  readonly host: string;
  readonly scanned: number;
  readonly open: readonly { readonly port: number; readonly banner: string }[];
  readonly closed: number;
  /** Neither accepted nor refused: nothing may hide there. */
  readonly unanswered: readonly number[];
};
type Answer = { readonly port: number; readonly outcome: 'open' | 'closed' | 'unanswered'; readonly banner: string };

function knock(host: string, port: number): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, autoSelectFamily: false });
    let outcome: Answer['outcome'] = 'unanswered';
    let banner = '';
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ port, outcome, banner });
    };
    let timer = setTimeout(end, answerMs);
    socket.once('connect', () => {
      // On a host's own addresses the kernel may choose the very port that is called: then the call is answered by
      // itself.
      if (socket.localPort === port && socket.localAddress === socket.remoteAddress) {
        outcome = 'closed';
        end();
        return;
      }
      outcome = 'open';
      clearTimeout(timer);
      timer = setTimeout(end, bannerMs);
    });
    socket.on('data', (chunk: Buffer) => {
      banner += chunk.toString('latin1');
      if (banner.includes('\n')) end();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (outcome !== 'open' && error.code === 'ECONNREFUSED') outcome = 'closed';
      end();
    });
    socket.once('close', end);
  });
}

async function scan(host: string): Promise<Scan> {
  const answers: Answer[] = [];
  let next = 1;
  const lane = async (): Promise<void> => {
    while (next <= portsMax) {
      const port = next;
      next += 1;
      answers.push(await knock(host, port));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  const of = (outcome: Answer['outcome']): readonly Answer[] =>
    answers.filter((one) => one.outcome === outcome).sort((a, b) => a.port - b.port);
  return {
    host,
    scanned: answers.length,
    open: of('open').map(({ port, banner }) => ({ port, banner: banner.split('\r\n')[0] ?? '' })),
    closed: of('closed').length,
    unanswered: of('unanswered').map((one) => one.port),
  };
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await scan(process.argv[2] ?? ''))}\n`);
