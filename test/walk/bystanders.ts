// Owns: what goes on beside the compromised edge and must not be disturbed: a bank that deposits through the real
// partner edge, and our own account that lists, writes and reads through the real internal edge, each time from the
// login on. It measures how long each thing took, and what came of it.
import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SftpClient } from '../support/sftp-client.ts';
import { sha256 } from './player.ts';
import { marks, put, type Scene } from './scene.ts';

const pauseMs = 400;
/** Ten times what the slowest of these takes beside a walk on two busy cores; whatever is later is not served. */
const lateMs = 10_000;
/** A deposit is published three seconds after it was closed; its reader waits much longer than that. */
const publishedWithinMs = 30_000;
/** The largest deposit, in bytes. */
const depositBytesMax = 64 * 1024;

export class Bystanders {
  readonly #scene: Scene;
  readonly #failures: string[] = [];
  readonly #done: Promise<unknown>;
  #isOver = false;
  #number = 0;
  readonly #underWay = new Set<Promise<unknown>>();
  readonly worstMs: Record<string, number> = {};
  rounds = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#done = Promise.all([this.#loop('partner'), this.#loop('internal')]);
  }

  /** Returns what failed or was late since the last call, and forgets it. */
  take(): readonly string[] {
    return this.#failures.splice(0);
  }

  /** Resolves when everything that is waited for now is done, or was abandoned after `3 * lateMs`. */
  async underWay(): Promise<void> {
    await Promise.allSettled([...this.#underWay]);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #timed<T>(what: string, work: () => Promise<T>): Promise<T> {
    const done = this.#measured(what, work);
    this.#underWay.add(done);
    try {
      return await done;
    } finally {
      this.#underWay.delete(done);
    }
  }

  async #measured<T>(what: string, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`not done in ${(3 * lateMs) / 1000} s`)), 3 * lateMs);
    });
    try {
      return await Promise.race([work(), late]);
    } catch (error) {
      this.#failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    } finally {
      clearTimeout(timer);
      const ms = Math.round(performance.now() - started);
      this.worstMs[what] = Math.max(this.worstMs[what] ?? 0, ms);
      if (ms > lateMs) this.#failures.push(`${what} took ${ms} ms`);
    }
  }

  async #loop(plane: 'partner' | 'internal'): Promise<void> {
    while (!this.#isOver) {
      let sftp: SftpClient | undefined;
      try {
        sftp = await this.#timed(`${plane} login`, () => this.#scene.connect(plane));
        await (plane === 'partner' ? this.#deposits(sftp) : this.#serves(sftp));
        this.rounds += 1;
      } catch {
        // `#measured` has noted the failure.
        await sleep(pauseMs);
      } finally {
        sftp?.end();
      }
      await sleep(pauseMs);
    }
  }

  readonly #deposited = new Map<string, { readonly sha: string; readonly bytes: number; readonly at: number }>();

  async #deposits(sftp: SftpClient): Promise<void> {
    const content = randomBytes(1 + randomInt(depositBytesMax));
    this.#number += 1;
    const name = `d-${this.#number}`;
    await this.#timed('partner put', () => put(sftp, `/deposit/${name}`, content));
    this.#deposited.set(name, { sha: sha256(content), bytes: content.length, at: Date.now() });
    await this.#timed('partner list', () => sftp.list('/collect'));
  }

  async #serves(sftp: SftpClient): Promise<void> {
    const listed = await this.#timed('internal list', () => sftp.list(`/${marks.busy}/deposit`));
    this.#number += 1;
    const path = `/${marks.busy}/collect/c-${this.#number}`;
    await this.#timed('internal put', () => put(sftp, path, randomBytes(10_000)));
    for (const [name, { sha, bytes, at }] of this.#deposited) {
      if (!listed.includes(name)) {
        if (Date.now() - at > publishedWithinMs) {
          this.#deposited.delete(name);
          this.#failures.push(`${name} was acknowledged and cannot be seen`);
        }
        continue;
      }
      const content = await this.#timed('internal get', () => whole(sftp, `/${marks.busy}/deposit/${name}`, bytes));
      if (content === undefined) continue;
      this.#deposited.delete(name);
      if (sha256(content) !== sha) this.#failures.push(`${name}: a reader gets other bytes than were acknowledged`);
    }
  }
}

/** A name may be listed a moment before the file is whole; then there is nothing to read yet. */
async function whole(sftp: SftpClient, path: string, bytes: number): Promise<Buffer | undefined> {
  const handle = await sftp.open(path).catch((error: unknown) => {
    if (/not complete|no such file|does not exist/i.test(String(error))) return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes; at += 30_000) parts.push(await sftp.read(handle, at, Math.min(30_000, bytes - at)));
  await sftp.close(handle);
  return Buffer.concat(parts);
}
