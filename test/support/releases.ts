// Owns: a client that takes whatever it is given, counts it, and compares it with what is on record.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SftpClient } from './sftp-client.ts';
import type { World } from './world.ts';

/** What customers were given: sessions, lists of names, receipts for uploads, bytes. */
export type Released = { sessions: number; lists: number; receipts: number; bytes: number };

const patienceMs = 2500;
const known = 'known';

export class Taker {
  readonly released: Released = { sessions: 0, lists: 0, receipts: 0, bytes: 0 };
  /** Uploads whose close was answered. */
  readonly receipts: string[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  get total(): number {
    const { sessions, lists, receipts, bytes } = this.released;
    return sessions + lists + receipts + bytes;
  }

  #connect(name: 'acme-batch' | 'processor'): Promise<SftpClient> {
    const { demo } = this.#world;
    const { port } = name === 'processor' ? demo.internal : demo.partner;
    return SftpClient.connect({
      port,
      username: name,
      privateKey: readFileSync(this.#world.keyFile(name), 'utf8'),
      readyMs: patienceMs,
    });
  }

  /** Open sessions with a file to read and a file to write: what they get from now on is counted. */
  async enter(): Promise<Session> {
    const [depositor, reader] = [await this.#connect('acme-batch'), await this.#connect('processor')];
    this.released.sessions += 2;
    const name = `u${randomBytes(6).toString('hex')}`;
    const upload = await depositor.open(`/deposit/${name}`, 'w');
    await depositor.write(upload, 0, randomBytes(1000));
    return new Session(this, { depositor, reader, upload, name });
  }

  /** Everything from the start, as a new customer would. Returns what of it was refused. */
  async once(): Promise<readonly string[]> {
    const refused: string[] = [];
    try {
      const session = await this.enter();
      refused.push(...(await session.take()));
      session.leave();
    } catch (error) {
      refused.push(`login: ${error instanceof Error ? error.message : String(error)}`);
    }
    return refused;
  }
}

type Parts = {
  readonly depositor: SftpClient;
  readonly reader: SftpClient;
  readonly upload: Buffer;
  readonly name: string;
};

export class Session {
  readonly #taker: Taker;
  readonly #parts: Parts;

  constructor(taker: Taker, parts: Parts) {
    this.#taker = taker;
    this.#parts = parts;
  }

  /**
   * Lists, reads and closes. What is not answered in time was not given: it is not waited for, but still counted if it
   * comes.
   */
  async take(): Promise<readonly string[]> {
    const { depositor, reader, upload, name } = this.#parts;
    const { released, receipts } = this.#taker;
    const refused: string[] = [];
    const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((_, reject) => {
        timer = setTimeout(() => reject(new Error('no answer')), patienceMs);
      });
      const done = work();
      done.catch(() => {});
      await Promise.race([done, late]).catch((error: Error) => void refused.push(`${what}: ${error.message}`));
      clearTimeout(timer);
    };
    await Promise.all([
      attempt('list', async () => {
        await depositor.list('/deposit');
        released.lists += 1;
      }),
      attempt('read', async () => {
        const handle = await reader.open(`/acme/deposit/${known}`);
        released.bytes += (await reader.read(handle, 0, 32_768)).length;
      }),
      attempt('close', async () => {
        await depositor.close(upload);
        released.receipts += 1;
        receipts.push(name);
      }),
    ]);
    return refused;
  }

  leave(): void {
    this.#parts.depositor.destroy();
    this.#parts.reader.destroy();
  }
}

export const knownFile = known;
/** What the record says about the same, and the uploads that it calls whole. */
export const recorded = `select count(*) filter (where kind = 'session.opened')::int as sessions, count(*) filter (where kind = 'folder.listed')::int as lists,
  count(*) filter (where kind = 'upload.closed')::int as receipts, coalesce(sum(bytes) filter (where kind = 'extent.granted'), 0)::int as bytes,
  coalesce(array_agg(public ->> 'path') filter (where kind = 'upload.closed'), '{}') as uploads from ledger`;
