// Owns: the edge's side of a console channel. It sends one command line to the warden,
// sends the warden's answer to the client, and hands on the input that a command asks for.
// What is refused goes to standard error: programs that speak a protocol of their own read the other stream.
// Must never: interpret a command, keep more input than one answer may hold, or give the input of one channel to the
// command of another.
import { StringDecoder } from 'node:string_decoder';
import { detach, held } from '../../domain/detached.ts';
import { toCofferdamError } from '../../domain/errors.ts';
import type { ConsoleAnswer } from '../../rpc/edge-warden.ts';
import type { SftpInput, SftpOutput, SftpSession, WardenCalls } from '../seam/sftp-seam.ts';

const inputBytesMax = 16_384;
const failed = 1;
const superseded = 'another command was given on this connection; nothing was done here';

/**
 * The commands of one session, on all its channels. The warden knows one dialogue for each session. So the calls of a
 * session are made one after the other, and a new command ends the one that waits for input.
 */
type Lane = { tail: Promise<unknown>; supersede: (() => void) | undefined };
const lanes = new WeakMap<SftpSession, Lane>();

function laneOf(session: SftpSession): Lane {
  const lane = lanes.get(session) ?? { tail: Promise.resolve(), supersede: undefined };
  lanes.set(session, lane);
  return lane;
}

/** Runs one console command and ends the channel with the exit status of the command. */
export function startConsole(session: SftpSession, line: string, output: SftpOutput, warden: WardenCalls): SftpInput {
  const { token } = session;
  const lane = laneOf(session);
  const decoder = new StringDecoder('utf8');
  let waitsFor: 'line' | 'end' | undefined;
  let kept = '';
  let hasEnded = false;
  let isOver = false;

  const end = (text: string, exitStatus: number): void => {
    if (isOver) return;
    isOver = true;
    if (exitStatus !== 0) for (const line of text.trimEnd().split('\n')) output.tell(line);
    else if (text !== '') output.send([Buffer.from(text.endsWith('\n') ? text : `${text}\n`)]);
    output.end(exitStatus);
  };
  const supersede = (): void => end(superseded, failed);
  /** Asks the warden when the calls before are answered, unless the channel is over by then. */
  const hear = (ask: () => Promise<ConsoleAnswer>): void => {
    const heard = lane.tail
      .then(() => (isOver ? undefined : ask()))
      .then(
        (said) => {
          if (isOver || said === undefined) return;
          if (said.outcome === 'done') return end(said.text, said.exitStatus);
          output.send([Buffer.from(said.text)]);
          waitsFor = said.until;
          lane.supersede = supersede;
          look();
        },
        (error: unknown) => end(toCofferdamError(error).message, failed),
      );
    lane.tail = held(heard);
    detach(heard, () => end('internal error', failed));
  };
  /**
   * Sends the input that the warden waits for, once that input is
   * complete: one line, or everything up to the end of the stream.
   */
  const look = (): void => {
    if (waitsFor === undefined || isOver) return;
    const at = kept.indexOf('\n');
    const isWhole = waitsFor === 'line' ? at >= 0 || hasEnded : hasEnded;
    if (!isWhole) return;
    if (waitsFor === 'line' && hasEnded && kept === '') return end('no input was given; nothing was done', failed);
    const text = waitsFor === 'end' ? kept : at < 0 ? kept : kept.slice(0, at);
    kept = waitsFor === 'end' || at < 0 ? '' : kept.slice(at + 1);
    waitsFor = undefined;
    hear(() => {
      if (lane.supersede === supersede) lane.supersede = undefined;
      return warden.call('console.input', { token, text: text.replace(/\r$/, '') });
    });
  };

  hear(() => {
    lane.supersede?.();
    lane.supersede = undefined;
    return warden.call('console.run', { token, line });
  });
  return {
    get isBusy() {
      return !isOver;
    },
    data(chunk) {
      output.consumed(chunk.length);
      if (isOver) return;
      kept += decoder.write(chunk);
      if (kept.length > inputBytesMax)
        return end('the input is longer than any command accepts; nothing was done', failed);
      look();
    },
    eof() {
      hasEnded = true;
      look();
    },
    async closed() {
      isOver = true;
      if (lane.supersede === supersede) lane.supersede = undefined;
    },
  };
}
