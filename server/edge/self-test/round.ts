// Owns: one round of the self-test. It runs in a thread of its own, because the edge has replaced ssh2's
// message handlers in its main thread (transport/guard.ts), so that an ssh2 client cannot run there.
// Must never: report a control as effective without having seen it refuse something.
import { randomBytes } from 'node:crypto';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { detach, unexpected } from '../../domain/detached.ts';
import {
  askedBytes,
  largeBytes,
  smallBytes,
  type Verdict,
  verdictsOfWrongCodes,
} from '../../domain/self-test-round.ts';
import { login, type Person, readFrom, type Target, writeFile } from './probe.ts';

/**
 * `code` is a code that nobody has used yet, `near` holds all codes that are
 * valid about now. Without `code`, one is available after `waitMs` milliseconds.
 */
type Codes = { readonly code?: string | undefined; readonly near: readonly string[]; readonly waitMs: number };
export type RoundData = {
  readonly target: Omit<Target, 'onPort'>;
  readonly person: Person & { readonly directory: string };
  readonly loginAttemptsMax: number;
};
export type FromRound =
  | { readonly kind: 'port'; readonly port: number; readonly isOpen: boolean }
  | { readonly kind: 'codes' }
  | { readonly kind: 'done'; readonly checks: readonly Verdict[] };

const unusedTriesMax = 10;

const isOfCap = ({ message }: Error): boolean => message.includes('limit');

/** One round: where it logs in, as whom, and how it gets codes. */
type Round = Omit<RoundData, 'target'> & { readonly target: Target; readonly codes: () => Promise<Codes> };

/** Returns a code that nobody has used. Waits for the next time step when all valid codes are used. */
async function unusedCode({ codes }: Round): Promise<string> {
  for (let tries = 0; tries < unusedTriesMax; tries += 1) {
    const { code, waitMs } = await codes();
    if (code !== undefined) return code;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
  throw new Error('there was no unused code');
}

/**
 * Checks the cap: the right code opens a session, the small file can be read, and the read of the large file is
 * refused.
 */
async function checkCap(round: Round): Promise<Verdict> {
  const { target, person } = round;
  const verdict = (bites: boolean, text: string): Verdict => ({ check: 'cap', bites, text: text.slice(0, 256) });
  const code = await unusedCode(round);
  const opened = await login(target, person, async () => code);
  const { sftp } = opened;
  if (!opened.isOpen || sftp === null)
    return verdict(false, `the right code did not open a session (${opened.reason}): the cap could not be tested`);
  try {
    const small = `${person.directory}/small`;
    const large = `${person.directory}/large`;
    const read = (path: string, bytes: number): Promise<number | Error> =>
      readFrom(sftp, path, bytes).catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      );
    const first = await read(small, smallBytes);
    // The small file is written last, so that a small file that can be read shows that both were written.
    if (first instanceof Error) {
      await writeFile(sftp, large, randomBytes(largeBytes));
      await writeFile(sftp, small, randomBytes(smallBytes));
    }
    const within = first instanceof Error ? await read(small, smallBytes) : first;
    if (within !== smallBytes)
      return verdict(false, `the small file, which is within the cap, could not be read: ${String(within)}`);
    let beyond = await read(large, askedBytes);
    // The large file may be missing: somebody removed it, or an earlier round ended between
    // the two writes. That says nothing about the cap, so the file is written again.
    if (beyond instanceof Error && !isOfCap(beyond) && !(first instanceof Error)) {
      await writeFile(sftp, large, randomBytes(largeBytes));
      beyond = await read(large, askedBytes);
    }
    if (!(beyond instanceof Error)) return verdict(false, `a file larger than the cap was released (${beyond} bytes)`);
    return isOfCap(beyond)
      ? verdict(true, 'the small file was released, the large one was refused')
      : verdict(false, `the large file was refused for another reason than its cap: ${beyond.message}`);
  } finally {
    opened.close();
  }
}

/** Checks that wrong codes open no session, and that the connection is ended after a limited number of them. */
async function checkWrongCodes({ target, person, loginAttemptsMax, codes }: Round): Promise<readonly Verdict[]> {
  const started = performance.now();
  const tried = await login(target, person, async () => {
    const { near } = await codes();
    // A random code may happen to be valid; such a code is not used.
    for (;;) {
      const code = String(randomBytes(4).readUInt32BE() % 1_000_000).padStart(6, '0');
      if (!near.includes(code)) return code;
    }
  });
  tried.close();
  const { answersAsked: asked, isOpen, reason } = tried;
  const seconds = (performance.now() - started) / 1000;
  return verdictsOfWrongCodes({ isOpen, asked, reason, seconds }, loginAttemptsMax);
}

/**
 * Returns the verdict with printable ASCII only, for operators: error messages may contain text of the operating
 * system.
 */
const plain = (verdict: Verdict): Verdict => ({
  ...verdict,
  text: verdict.text.replace(/[^\x20-\x7e]/g, '?').slice(0, 256),
});

function main(port: MessagePort, { target, ...data }: RoundData): void {
  const say = (message: FromRound): void => port.postMessage(message);
  const round: Round = {
    ...data,
    target: { ...target, onPort: (own, isOpen) => say({ kind: 'port', port: own, isOpen }) },
    codes: () =>
      new Promise((resolve) => {
        port.once('message', (answer: Codes) => resolve(answer));
        say({ kind: 'codes' });
      }),
  };
  const run = async (): Promise<void> =>
    say({ kind: 'done', checks: [await checkCap(round), ...(await checkWrongCodes(round))].map(plain) });
  // An error ends the thread without a report. The warden treats a missing report as a finding as well.
  detach(run(), unexpected);
}

if (parentPort !== null) main(parentPort, workerData as RoundData);
