// Owns: one SFTP session without a connection: packets in, replies out, within milliseconds. The session, its codec,
// handles and store thread are the real ones. The warden's answers are the test's script, because such a test is about
// their faults.
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { idOf, type NodeName } from '../../server/domain/ids.ts';
import type { SftpInput, SftpOutput, WardenCalls } from '../../server/edge/seam/sftp-seam.ts';
import { createSftp } from '../../server/edge/sftp/session.ts';
import { BufferReserve } from '../../server/edge/transport/buffer-reserve.ts';
import type { Teardown } from './database.ts';
import { sftpPacket, u32 } from './raw-client.ts';
import { project } from './world.ts';

export type Script = (op: string, params: Readonly<Record<string, unknown>>) => unknown;
/** Of a STATUS packet; undefined for any other. */
export const statusOf = (packet: Buffer | undefined): number | undefined =>
  packet?.[0] === 101 ? packet.readUInt32BE(5) : undefined;
export const textOf = (packet: Buffer | undefined): string =>
  packet?.[0] === 101 ? packet.subarray(13, 13 + packet.readUInt32BE(9)).toString('utf8') : '';
export const handleOf = (packet: Buffer | undefined): Buffer => {
  if (packet?.[0] !== 102) throw new Error(`no handle: ${textOf(packet)}`);
  return Buffer.from(packet.subarray(5));
};
const file = { kind: 'file', size: 1000, permissions: 0o640, modifiedAt: 1 };

/** What an honest warden answers; `fresh` suffices for one small file. */
export const honest: Script = (op) => {
  switch (op) {
    case 'tree.stat':
      return { ...file, kind: 'directory' };
    case 'tree.list':
      return { entries: [] };
    case 'download.open':
      return { download: 'd', customer: 'c', size: 1000, modifiedAt: 1 };
    case 'flow.permit':
      return { waitMs: 0, bytes: 2 ** 30 };
    case 'upload.open':
      return { upload: 'u', customer: 'c', storedBytes: 0, firstExtent: fresh };
    default:
      return {};
  }
};
const fresh = {
  index: 0,
  objectId: 'object',
  key: Buffer.alloc(32, 1).toString('base64'),
  context: Buffer.alloc(32, 2).toString('base64'),
};

export class SessionBench {
  readonly reserve = new BufferReserve(512 * 2 ** 20);
  readonly buffers = this.reserve.account();
  /** What was logged above `info`. */
  readonly complaints: string[] = [];
  readonly calls: string[] = [];
  /** The lines that the person at the client was told. */
  readonly told: string[] = [];
  failed: string | undefined;
  ended: number | undefined;
  consumedBytes = 0;
  sentBytes = 0;
  script: Script = honest;
  /** Whether the script answers `upload.offer`. */
  offers = false;
  readonly #replies: Buffer[] = [];
  #bytes: Buffer[] = [];
  #id = 100;
  readonly session: SftpInput;
  readonly output: SftpOutput;

  /** `directory`: of the process, for extents that do not fit into their rows. */
  constructor(t: Teardown, limits: Readonly<Record<string, number>> = {}, directory = '/nonexistent') {
    const config = loadConfig({
      file: undefined,
      env: { COFFERDAM_VAR: directory, COFFERDAM_LIMITS: JSON.stringify(limits) },
      isRoot: false,
      isTerminal: false,
      projectDirectory: project,
    });
    const lines = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.complaints.push(chunk.toString('utf8'));
        done();
      },
    });
    const node = {
      node: idOf<NodeName>('partner-1'),
      limits: config.limits,
      paths: runtimePaths(config),
      log: pino({ level: 'warn' }, lines),
    };
    const sftp = createSftp(node);
    const call = async (op: string, params: Readonly<Record<string, unknown>>): Promise<unknown> => {
      // A script that says nothing of offers is that of a warden that makes none.
      if (op === 'upload.offer' && !this.offers)
        return { outcome: 'opened', ...((await call('upload.open', params)) as object) };
      this.calls.push(op);
      return this.script(op, params);
    };
    this.output = {
      send: (chunks) => {
        this.#bytes.push(...chunks.map((one) => Buffer.from(one)));
        this.sentBytes += chunks.reduce((sum, one) => sum + one.length, 0);
      },
      buffers: this.buffers,
      onDrain: undefined,
      hold: () => {},
      tell: (line) => void this.told.push(line),
      consumed: (bytes) => (this.consumedBytes += bytes),
      end: (status) => (this.ended = status),
      fail: (reason) => (this.failed ??= reason),
    };
    const warden = { call, callRepeatable: call } as unknown as WardenCalls;
    this.session = sftp.start({ id: 's', token: 't', account: 'a', kind: 'machine', start: [] }, this.output, warden);
    t.teardown(async () => {
      await this.session.closed('connection-lost');
      await sftp.stop();
    });
    this.send(sftpPacket(1, u32(3)));
    this.#bytes = [];
  }

  send(bytes: Buffer): void {
    this.session.data(bytes);
  }

  /** Replies that have come so far: whole packets without their length. */
  replies(): Buffer[] {
    let all = Buffer.concat(this.#bytes);
    while (all.length >= 4 && all.length >= 4 + all.readUInt32BE(0)) {
      this.#replies.push(all.subarray(4, 4 + all.readUInt32BE(0)));
      all = all.subarray(4 + all.readUInt32BE(0));
    }
    this.#bytes = [all];
    return this.#replies;
  }

  async reply(id: number, waitMs = 10_000): Promise<Buffer | undefined> {
    for (const end = performance.now() + waitMs; ; await new Promise((resolve) => setTimeout(resolve, 1))) {
      const found = this.replies().find((packet) => packet.readUInt32BE(1) === id);
      if (found !== undefined || performance.now() > end || this.failed !== undefined) return found;
    }
  }

  /** Sends one request. Returns its id. */
  request(type: number, ...parts: readonly (Uint8Array | string)[]): number {
    this.#id += 1;
    this.send(sftpPacket(type, u32(this.#id), ...parts));
    return this.#id;
  }

  ask(type: number, ...parts: readonly (Uint8Array | string)[]): Promise<Buffer | undefined> {
    return this.reply(this.request(type, ...parts));
  }
}

export const refused = (text = 'refused'): never => {
  throw new CofferdamError('denied', text);
};
export const lost = (): never => {
  throw new CofferdamError('unavailable', 'rpc peer is gone');
};
