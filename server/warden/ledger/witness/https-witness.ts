// Owns: a witness behind HTTPS: POST hands over a signed note, GET returns the newest one that it has.
// Must never: follow a redirect, speak without TLS, or accept as the newest note anything that is not a note.
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { WitnessConfig } from '../../../config/ledger-settings.ts';
import { CofferdamError } from '../../../domain/errors.ts';
import { parseNote } from '../../../domain/ledger/checkpoint.ts';
import { checkpointOpener } from '../../keys/checkpoint-signer.ts';
import { compareRanks, type Rank, rankOf } from './rank.ts';
import type { Witness } from './witness.ts';

const answerMs = 5000;
const checkEveryMs = 60_000;
const checkLostEveryMs = 5000;
const answerBytesMax = 65_536;
const tokenBytesMax = 4096;

type Answer = { readonly status: number; readonly body: string };
type HttpsConfig = Extract<WitnessConfig, { type: 'https' }>;

/**
 * Returns the bearer token from its file, which is read for each call because it may be replaced at any time. Throws
 * `configuration` when other users of this machine can read it, since it is no secret then, or when it is not one line
 * of printable characters.
 */
async function readToken(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0)
      throw new CofferdamError(
        'configuration',
        `the token ${path} can be read by others: chmod 0400 it, and have it replaced`,
      );
    const token = size > tokenBytesMax ? '' : (await file.readFile('utf8')).trim();
    if (!/^[!-~]+$/.test(token))
      throw new CofferdamError('configuration', `the token ${path} is not one line of printable characters`);
    return token;
  } finally {
    await file.close();
  }
}

/** A witness behind HTTPS, with an optional bearer token and an optional authority of its own. */
export class HttpsWitness implements Witness {
  readonly name: string;
  readonly isRequired: boolean;
  readonly #config: HttpsConfig;
  #had: Rank | undefined;
  #verifierKey: string | undefined;
  #lost: string | undefined;
  #checkedAt = performance.now();

  readonly #every: { readonly ms: number; readonly lostMs: number };

  constructor(config: HttpsConfig, every = { ms: checkEveryMs, lostMs: checkLostEveryMs }) {
    this.#every = every;
    this.name = config.name;
    this.isRequired = config.isRequired;
    this.#config = config;
  }

  async keep(note: string): Promise<void> {
    const { status } = await this.#ask('POST', note);
    if (status < 200 || status > 299) throw this.#unavailable(`it answered ${status}`);
    this.#remember(note);
  }

  readonly newest = async (verifierKey?: string): Promise<string | undefined> => {
    this.#verifierKey = verifierKey;
    const note = await this.#newest();
    if (note !== undefined) this.#remember(note);
    return note;
  };

  #remember(note: string): void {
    const rank = rankOf(note);
    if (this.#had === undefined || compareRanks(rank, this.#had) > 0) this.#had = rank;
  }

  /**
   * Throws `corrupt` when the witness no longer has what it had. The witness is asked once a minute, or every five
   * seconds after a loss, and not in each beat, because it is on the network. A witness that does not answer has lost
   * nothing.
   */
  async check(): Promise<void> {
    const had = this.#had;
    const everyMs = this.#lost === undefined ? this.#every.ms : this.#every.lostMs;
    if (had === undefined || performance.now() - this.#checkedAt < everyMs) return this.#requireMemory();
    this.#checkedAt = performance.now();
    const note = await this.#newest();
    const [era, size] = had;
    const isThere = note !== undefined && compareRanks(rankOf(note), [era, size, '']) >= 0;
    this.#lost = isThere
      ? undefined
      : `the witness ${this.name} has lost what it had: it knows no checkpoint of ${size} heads, era ${era}, any more`;
    this.#requireMemory();
  }

  #requireMemory(): void {
    if (this.#lost !== undefined) throw new CofferdamError('corrupt', this.#lost);
  }

  readonly #newest = async (): Promise<string | undefined> => {
    const { status, body } = await this.#ask('GET');
    if (status === 404) return undefined;
    if (status !== 200) throw this.#unavailable(`it answered ${status}`);
    try {
      parseNote(body);
    } catch (cause) {
      throw new CofferdamError('corrupt', `what the witness ${this.name} has is not a checkpoint`, { cause });
    }
    try {
      if (this.#verifierKey !== undefined) checkpointOpener(this.#verifierKey)(body);
      return body;
    } catch (cause) {
      throw new CofferdamError(
        'corrupt',
        `what the witness ${this.name} has is not signed by the ledger key of this gateway`,
        { cause },
      );
    }
  };

  #unavailable(why: string, cause?: unknown): CofferdamError {
    return new CofferdamError(
      'unavailable',
      `the witness ${this.name} (${new URL(this.#config.url).host}) cannot be reached: ${why}`,
      {
        cause,
      },
    );
  }

  async #ask(method: 'GET' | 'POST', body?: string): Promise<Answer> {
    const { url, ca, token } = this.#config;
    try {
      return await exchange({
        url,
        method,
        body,
        ca: ca === null ? undefined : await readFile(ca),
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${await readToken(token)}` }),
          ...(body === undefined
            ? {}
            : { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(Buffer.byteLength(body)) }),
        },
      });
    } catch (cause) {
      if (cause instanceof CofferdamError && cause.code === 'configuration') throw cause;
      throw this.#unavailable(cause instanceof Error ? cause.message : 'no answer', cause);
    }
  }
}

type Question = {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly body: string | undefined;
  readonly ca: Buffer | undefined;
  readonly headers: Readonly<Record<string, string>>;
};

/** Makes one request on a connection of its own. The whole exchange must end within five seconds. */
function exchange({ url, method, body, ca, headers }: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      method,
      headers,
      agent: false,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      signal: AbortSignal.timeout(answerMs),
      ...(ca === undefined ? {} : { ca }),
    });
    asked.once('error', (error) =>
      reject(error.name === 'TimeoutError' || error.name === 'AbortError' ? new Error('no answer in time') : error),
    );
    asked.once('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > answerBytesMax) asked.destroy(new Error('its answer is too long'));
        else chunks.push(chunk);
      });
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    asked.end(body);
  });
}
