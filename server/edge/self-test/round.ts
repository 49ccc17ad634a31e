// Owns: one round of the self-test, in a thread of its own: the guard on this process' transport refuses any client beside it.
// Must never: call a control good that it did not see bite.
import { randomBytes } from 'node:crypto';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { detach, unexpected } from '../../domain/detached.ts';
import { askedBytes, largeBytes, smallBytes } from '../../domain/self-test-round.ts';
import { login, type Person, readFrom, type Target, writeFile } from './probe.ts';

export type Verdict = { readonly check: 'cap' | 'wrong-code' | 'lockout'; readonly bites: boolean; readonly text: string };
/** A code that nobody has used, and all that are right about now. */
export type Codes = { readonly code?: string | undefined; readonly near: readonly string[]; readonly waitMs: number };
export type RoundData = {
  readonly target: Omit<Target, 'onPort'>;
  readonly person: Person & { readonly directory: string };
  readonly loginAttemptsMax: number;
};
export type FromRound =
  | { readonly kind: 'port'; readonly port: number; readonly isOpen: boolean }
  | { readonly kind: 'codes' }
  | { readonly kind: 'done'; readonly checks: readonly Verdict[] };

/** Whatever the configuration says, more tries on one connection than this are no lockout. */
const lockoutAttemptsMax = 10;
/** A connection that ends later was ended by the time that a login may take, not by the tries. */
const lockoutSecondsMax = 22;
const unusedTriesMax = 10;

const isOfCap = ({ message }: Error): boolean => message.includes('limit');

function main(port: MessagePort, { target: given, person, loginAttemptsMax }: RoundData): void {
  const say = (message: FromRound): void => port.postMessage(message);
  const target: Target = { ...given, onPort: (own, isOpen) => say({ kind: 'port', port: own, isOpen }) };
  const codes = (): Promise<Codes> =>
    new Promise((resolve) => {
      port.once('message', (answer: Codes) => resolve(answer));
      say({ kind: 'codes' });
    });

  /** Waits for the next time step when all valid ones are spent. */
  const unused = async (): Promise<string> => {
    for (let tries = 0; tries < unusedTriesMax; tries += 1) {
      const { code, waitMs } = await codes();
      if (code !== undefined) return code;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    throw new Error('there was no unused code');
  };

  /** With the right code it opens; the small file can be read, the large one is refused. */
  const cap = async (): Promise<Verdict> => {
    const verdict = (bites: boolean, text: string): Verdict => ({ check: 'cap', bites, text: text.slice(0, 256) });
    const code = await unused();
    const opened = await login(target, person, async () => code);
    const { sftp } = opened;
    if (!opened.isOpen || sftp === null)
      return verdict(false, `the right code did not open a session (${opened.reason}): the control could not be looked at`);
    try {
      const small = `${person.directory}/small`;
      const large = `${person.directory}/large`;
      const read = (path: string, bytes: number): Promise<number | Error> =>
        readFrom(sftp, path, bytes).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
      const first = await read(small, smallBytes);
      // The small one comes last: where it can be read, both were put there.
      if (first instanceof Error) {
        await writeFile(sftp, large, randomBytes(largeBytes));
        await writeFile(sftp, small, randomBytes(smallBytes));
      }
      const within = first instanceof Error ? await read(small, smallBytes) : first;
      if (within !== smallBytes) return verdict(false, `what is within the cap could not be read: ${String(within)}`);
      let beyond = await read(large, askedBytes);
      // Somebody took it away, or a run was ended between the two: that is no word about the cap.
      if (beyond instanceof Error && !isOfCap(beyond) && !(first instanceof Error)) {
        await writeFile(sftp, large, randomBytes(largeBytes));
        beyond = await read(large, askedBytes);
      }
      if (!(beyond instanceof Error)) return verdict(false, `a file larger than the cap was released (${beyond} bytes)`);
      return isOfCap(beyond)
        ? verdict(true, 'what fits was released, what does not was refused')
        : verdict(false, `refused for another reason than its cap: ${beyond.message}`);
    } finally {
      opened.close();
    }
  };

  /** Wrong codes only: none opens a session, and after so many the connection is ended. */
  const wrongCodes = async (): Promise<readonly Verdict[]> => {
    const started = performance.now();
    const tried = await login(target, person, async () => {
      const { near } = await codes();
      // Never a right one by chance.
      for (;;) {
        const code = String(randomBytes(4).readUInt32BE() % 1_000_000).padStart(6, '0');
        if (!near.includes(code)) return code;
      }
    });
    tried.close();
    const { answersAsked: asked, isOpen, reason } = tried;
    const seconds = (performance.now() - started) / 1000;
    return [
      {
        check: 'wrong-code',
        bites: !isOpen && asked > 0,
        text: isOpen
          ? 'a session was opened without a right code'
          : asked > 0
            ? `${asked} wrong codes opened nothing`
            : `no code was ever asked for (${reason})`.slice(0, 256),
      },
      {
        check: 'lockout',
        bites: !isOpen && asked > 0 && asked <= lockoutAttemptsMax && seconds < lockoutSecondsMax,
        text: `the connection ended after ${asked} wrong codes in ${seconds.toFixed(0)} s (at most ${Math.min(loginAttemptsMax, lockoutAttemptsMax)} may be tried)`,
      },
    ];
  };

  /** Errors bring texts of the system with them: operators are shown printable ASCII. */
  const plain = (verdict: Verdict): Verdict => ({ ...verdict, text: verdict.text.replace(/[^\x20-\x7e]/g, '?').slice(0, 256) });
  const run = async (): Promise<void> => say({ kind: 'done', checks: [await cap(), ...(await wrongCodes())].map(plain) });
  // An error ends the thread; no report is a finding too.
  detach(run(), unexpected);
}

if (parentPort !== null) main(parentPort, workerData as RoundData);
