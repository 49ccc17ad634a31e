// Owns: a warden for an upload of one edge process, of which a test decides every answer: given, refused, lost, late.
// It keeps what a warden would know of the upload.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import type { BufferAccount, EdgeNode, SftpSession, WardenCalls } from '../../server/edge/seam/sftp-seam.ts';
import { Closings } from '../../server/edge/sftp/closings.ts';
import { Filling } from '../../server/edge/sftp/filling.ts';
import { Pacers } from '../../server/edge/sftp/pacer.ts';
import { SegmentShelf } from '../../server/edge/sftp/segment-shelf.ts';
import { StoreThread } from '../../server/edge/sftp/store-thread.ts';
import { Turns } from '../../server/edge/sftp/turns.ts';
import type { UploadContext } from '../../server/edge/sftp/upload.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { createLogger } from '../../server/observability/logger.ts';
import type { EdgeToWarden } from '../../server/rpc/edge-warden.ts';
import type { Params } from '../../server/rpc/operation.ts';
import { type Teardown, temporaryDirectory } from './database.ts';
import { sealedExtent } from './sealed-extent.ts';
import { startTestStore, testTicket } from './store.ts';

type Operation = keyof EdgeToWarden & string;
type Closed = Params<EdgeToWarden, 'upload.close'>;
/**
 * Called before an operation is answered, with how often it was asked: waits, or throws what the edge is to be told.
 */
export type Fault = (nth: number) => Promise<void> | void;

export const refusal = new CofferdamError('conflict', 'this upload was taken over or ended');
export const lostAnswer = new CofferdamError('unavailable', 'the connection to the warden was lost');
const inLane: readonly Operation[] = ['upload.seal-extent', 'upload.close', 'upload.interrupt'];
/** How an answer may go wrong. */
export const wrongAnswers: Readonly<Record<'refused' | 'lost', Fault>> = {
  refused: () => Promise.reject(refusal),
  lost: async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw lostAnswer;
  },
};

/** An extent as the store would return it, small enough to be in its row. */
export function atRest(
  start: number,
  plain: Buffer,
): { readonly start: number; readonly bytes: number; readonly answer: object } {
  const [key, context] = [randomBytes(32), randomBytes(20)];
  const sealed = sealedExtent(key, context, plain);
  const base64 = (bytes: Buffer): string => bytes.toString('base64');
  const answer = {
    objectId: randomBytes(16).toString('hex'),
    key: base64(key),
    context: base64(context),
    bytes: plain.length,
  };
  return { start, bytes: plain.length, answer: { ...answer, sealedBytes: sealed.length, inline: base64(sealed) } };
}

export class ScriptedWarden implements WardenCalls {
  readonly asked: Operation[] = [];
  readonly faults = new Map<Operation, Fault>();
  readonly sealedBytes: number[] = [];
  closed: Closed | undefined;
  interrupted = 0;
  /** What is there when the file is opened. */
  stored: { readonly kind: 'partial' | 'complete'; readonly bytes: Buffer } | undefined;
  #next = 0;
  #lane: Promise<unknown> = Promise.resolve();

  #fresh(): object {
    const index = this.#next;
    this.#next += 1;
    const base64 = (bytes: number): string => randomBytes(bytes).toString('base64');
    const objectId = randomBytes(16).toString('hex');
    return { index, objectId, key: base64(32), context: base64(40), ticket: testTicket(objectId).toString('base64') };
  }

  #seal(extent: { readonly index: number; readonly bytes: number; readonly sealedBytes: number }): void {
    if (extent.index !== this.sealedBytes.length)
      throw new CofferdamError('invalid', 'this extent is not the next one of this upload');
    if (extent.sealedBytes !== sealedLength(extent.bytes))
      throw new CofferdamError('invalid', 'the length of the extent does not fit its content');
    this.sealedBytes.push(extent.bytes);
  }

  #atRest(offset: number): ReturnType<typeof atRest> {
    const bytes = this.stored?.bytes ?? Buffer.alloc(0);
    const start = offset - (offset % 50_000);
    return atRest(start, bytes.subarray(start, start + 50_000));
  }

  /** `done` means what a real warden does; anything else is the answer. */
  readonly #answers: Partial<Record<Operation, (params: never) => unknown>> = {
    'upload.open': () => {
      const bytes = this.stored?.bytes.length ?? 0;
      if (this.stored?.kind === 'partial') this.#next = 1;
      const there = this.stored?.kind === 'complete' ? { storedBytes: 0, baseBytes: bytes } : { storedBytes: bytes };
      if (this.stored?.kind === 'partial') this.sealedBytes.push(bytes);
      return { upload: randomUUID(), customer: randomUUID(), ...there, firstExtent: this.#fresh() };
    },
    'upload.begin-extent': () => this.#fresh(),
    'upload.seal-extent': ({ extent }: Params<EdgeToWarden, 'upload.seal-extent'>) => {
      this.#seal(extent);
      return { storedBytes: this.size };
    },
    'upload.rewrite': () => {
      this.sealedBytes.length = 0;
      this.#next = 0;
      return { firstExtent: this.#fresh() };
    },
    'upload.verify-extent': ({ index }: Params<EdgeToWarden, 'upload.verify-extent'>) =>
      this.#atRest(index * 50_000).answer,
    'upload.base-extent': ({ offset }: Params<EdgeToWarden, 'upload.base-extent'>) => {
      const { start, answer } = this.#atRest(offset);
      return { ...answer, start };
    },
    'upload.close': (params: Closed) => {
      if (params.lastExtent !== undefined) this.#seal(params.lastExtent);
      this.closed = params;
      return { version: randomUUID() };
    },
    'upload.interrupt': ({ lastExtent }: Params<EdgeToWarden, 'upload.interrupt'>) => {
      if (lastExtent !== undefined) this.#seal(lastExtent);
      this.interrupted += 1;
      return { storedBytes: this.size };
    },
    'flow.permit': () => ({ bytes: 2 ** 40, waitMs: 0 }),
  };

  get size(): number {
    return this.sealedBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** What is answered so far, as a part of another answer. */
  giving(op: Operation): (params: unknown) => object {
    const given = this.#answers[op];
    return (params) => (given?.(params as never) ?? {}) as object;
  }

  answer(op: Operation, answer: (params: never) => unknown): void {
    this.#answers[op] = answer;
  }

  call: WardenCalls['call'] = async (op, params) => {
    // A script that says nothing of offers is that of a warden that makes none.
    if (op === 'upload.offer' && this.#answers[op] === undefined)
      return { outcome: 'opened', ...((await this.call('upload.open', params as never)) as object) } as never;
    this.asked.push(op);
    const nth = this.asked.filter((one) => one === op).length;
    if (!inLane.includes(op)) return this.#do(op, params, nth);
    // As a warden does: what seals and ends one upload is done in the order of the calls.
    const done = this.#lane.then(() => this.#do(op, params, nth));
    this.#lane = done.catch(() => {});
    return done as never;
  };
  callRepeatable = this.call;

  async #do(op: Operation, params: unknown, nth: number): Promise<never> {
    await this.faults.get(op)?.(nth);
    const answer = this.#answers[op];
    if (answer === undefined) throw new CofferdamError('bug', `no answer to ${op}`);
    return answer(params as never) as never;
  }

  /** Returns whether the file that was acknowledged is exactly this one. */
  isFile(whole: Buffer): boolean {
    const sha256 = createHash('sha256').update(whole).digest('hex');
    return (
      this.closed?.whole === true &&
      this.closed.sha256 === sha256 &&
      this.closed.size === whole.length &&
      this.size === whole.length
    );
  }
}

/** An edge process without its sockets: its store thread and the store are real, its directories are the test's. */
export async function edgeProcess(t: Teardown): Promise<{ readonly node: EdgeNode; readonly store: StoreThread }> {
  const env = { COFFERDAM_VAR: temporaryDirectory(t) };
  const config = loadConfig({ file: undefined, env, isRoot: false, isTerminal: false, projectDirectory: '/' });
  const paths = runtimePaths(config);
  await startTestStore(t, config);
  const log = createLogger({ log: { level: 'error', pretty: false } }, 'test');
  const store = new StoreThread(paths.storeSocket('partner-1'), log);
  t.teardown(() => store.stop());
  return { node: { node: idOf<NodeName>('partner-1'), limits: config.limits, paths, log }, store };
}

export const roomy = {
  addReplies: () => {},
  addSegments: () => {},
  hasReplyRoom: true,
  hasSegmentRoom: true,
  addUploads: () => {},
  hasUploadRoom: true,
  takeEarly: () => true,
  giveEarly: () => {},
};
export const testSession: SftpSession = {
  id: randomUUID(),
  token: 'x'.repeat(43),
  account: 'acme',
  kind: 'machine',
  start: [],
};

export function uploadContext(
  { node, store }: Awaited<ReturnType<typeof edgeProcess>>,
  warden: WardenCalls,
  buffers: BufferAccount = roomy,
  filling = new Filling(buffers, store),
): UploadContext {
  return {
    node,
    store,
    warden,
    session: testSession,
    shelf: new SegmentShelf(buffers),
    buffers,
    filling,
    pacers: new Pacers(testSession, warden),
    grants: new Turns(32),
    closings: new Closings(node),
  };
}
