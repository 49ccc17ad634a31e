// Owns: the user authentication messages (RFC 4252, RFC 4256). Each message
// is parsed, handed to the warden, and the warden's answer is handed back.
// Must never: decide a login, or keep a proof longer than until the warden has it.

import { detach } from '../../domain/detached.ts';
import { toCofferdamError } from '../../domain/errors.ts';
import { Queue } from '../../domain/queue.ts';
import { WireReader } from '../../domain/ssh-wire.ts';
import type { Evidence } from '../../rpc/edge-warden.ts';
import type { SftpSession, WardenCalls } from '../sftp-seam.ts';
import type { FailDetail, FailReason } from '../transport/fail-reasons.ts';

type Probe = { readonly algorithm: string; readonly key: Uint8Array };
export type AuthRequest =
  | { readonly kind: 'request'; readonly username: string; readonly evidence: Evidence; readonly probe?: Probe }
  | { readonly kind: 'answers'; readonly answers: readonly string[] };

export type LoginReply =
  | { readonly kind: 'failure'; readonly methods: readonly string[]; readonly isPartial: boolean }
  | { readonly kind: 'key-acceptable'; readonly algorithm: string; readonly key: Uint8Array }
  | {
      readonly kind: 'prompt';
      readonly name: string;
      readonly instruction: string;
      readonly prompts: readonly { readonly text: string; readonly echo: boolean }[];
    }
  | { readonly kind: 'success'; readonly session: SftpSession; readonly absoluteLifeMs: number; readonly idleLifeMs: number }
  | { readonly kind: 'full' }
  | { readonly kind: 'closed' };

const waitingMax = 4;
const answersMax = 4;
const fieldBytesMax = 16_384;
const textBytesMax = 256;

function text(reader: WireReader): string {
  const bytes = reader.string();
  if (bytes.length > textBytesMax) throw new Error('a field is too long');
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

function blob(reader: WireReader): Buffer {
  const bytes = reader.string();
  if (bytes.length > fieldBytesMax) throw new Error('a field is too long');
  return Buffer.from(bytes);
}

function parsePublicKey(reader: WireReader, username: string): AuthRequest {
  const hasSignature = reader.bool();
  const algorithm = text(reader);
  const key = blob(reader);
  if (!hasSignature) {
    reader.end();
    return {
      kind: 'request',
      username,
      evidence: { type: 'public-key-probe', algorithm, key: key.toString('base64') },
      probe: { algorithm, key },
    };
  }
  const signature = blob(reader);
  reader.end();
  return {
    kind: 'request',
    username,
    evidence: {
      type: 'public-key',
      algorithm,
      key: key.toString('base64'),
      signature: signature.toString('base64'),
    },
  };
}

/**
 * Parses SSH_MSG_USERAUTH_REQUEST (RFC 4252 section 5). Throws when a field is
 * missing, too long or no valid UTF-8, when the service is not `ssh-connection`, and
 * when bytes are left over behind a `publickey` or `keyboard-interactive` request.
 */
export function parseAuthRequest(payload: Buffer): AuthRequest {
  const reader = new WireReader(payload.subarray(1));
  const username = text(reader);
  const service = text(reader);
  const method = text(reader);
  if (service !== 'ssh-connection') throw new Error('unknown service');
  switch (method) {
    case 'publickey':
      return parsePublicKey(reader, username);
    case 'keyboard-interactive':
      reader.string();
      reader.string();
      reader.end();
      return { kind: 'request', username, evidence: { type: 'keyboard-interactive' } };
    case 'password': {
      const isChange = reader.bool();
      const password = text(reader);
      // This gateway never asks a client to change its password (RFC 4252 section 8), so such a request counts as no proof.
      return { kind: 'request', username, evidence: isChange ? { type: 'none' } : { type: 'password', password } };
    }
    default:
      // `none` and methods that are not offered are answered with the list of methods that are.
      return { kind: 'request', username, evidence: { type: 'none' } };
  }
}

/**
 * Parses SSH_MSG_USERAUTH_INFO_RESPONSE (RFC 4256 section 3.4).
 * Throws on a malformed message and on more than four answers.
 */
export function parseInfoResponse(payload: Buffer): AuthRequest {
  const reader = new WireReader(payload.subarray(1));
  const count = reader.uint32();
  if (count > answersMax) throw new Error('too many answers');
  const answers = Array.from({ length: count }, () => text(reader));
  reader.end();
  return { kind: 'answers', answers };
}

export type LoginDriverOptions = {
  /**
   * The name of this connection towards the warden. The warden issued
   * the session identifier of the first key exchange to the same name.
   */
  readonly connection: string;
  readonly warden: WardenCalls;
  readonly source: { readonly address: string; readonly port: number };
  readonly reply: (reply: LoginReply) => void;
  /** Ends the connection. `ours` means that the warden could not or would not decide, which is no misdeed of the client. */
  readonly fail: (reason: FailReason, whose: 'client' | 'ours', more?: FailDetail) => void;
};

export class LoginDriver {
  readonly #options: LoginDriverOptions;
  readonly #waiting = new Queue<AuthRequest>();
  #username: string | undefined;
  #isBusy = false;
  /**
   * True when the last message held a signature, an answer or a password. A refusal
   * of it is then a refused proof, not the answer to a question about a key.
   */
  hasGivenProof = false;
  #isPrompted = false;

  constructor(options: LoginDriverOptions) {
    this.#options = options;
  }

  take(request: AuthRequest): void {
    if (this.#waiting.length >= waitingMax) return this.#options.fail('too many login messages at once', 'client');
    this.#waiting.push(request);
    if (!this.#isBusy) detach(this.#run(), () => this.#options.fail('internal error', 'ours'));
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    try {
      for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) await this.#one(next);
    } catch (error) {
      const { code, message } = toCofferdamError(error);
      this.#options.fail('the login failed', code === 'invalid' ? 'client' : 'ours', { detail: message });
    } finally {
      this.#isBusy = false;
    }
  }

  async #one(request: AuthRequest): Promise<void> {
    if (request.kind === 'answers' && !this.#isPrompted) return this.#options.fail('answers without a prompt', 'client');
    if (request.kind === 'request') {
      // RFC 4252 section 5 allows a client to change the user name. No
      // client needs that, and it would mix the proofs of two people.
      if (this.#username !== undefined && this.#username !== request.username)
        return this.#options.fail('the user name changed during login', 'client');
      this.#username = request.username;
    }
    this.#isPrompted = false;
    this.hasGivenProof = request.kind === 'answers' || request.evidence.type === 'public-key' || request.evidence.type === 'password';
    const outcome = await this.#options.warden.call('login.attempt', {
      connection: this.#options.connection,
      source: this.#options.source,
      username: this.#username ?? '',
      evidence: request.kind === 'request' ? request.evidence : { type: 'answers', answers: [...request.answers] },
    });
    switch (outcome.outcome) {
      case 'accepted': {
        const { id, token, account, kind, absoluteLifeMs, idleLifeMs } = outcome.session;
        this.#waiting.clear();
        return this.#options.reply({ kind: 'success', session: { id, token, account, kind }, absoluteLifeMs, idleLifeMs });
      }
      case 'partial':
        return this.#options.reply({ kind: 'failure', methods: outcome.methods, isPartial: true });
      case 'refused':
        return this.#options.reply({ kind: 'failure', methods: outcome.methods, isPartial: false });
      case 'prompt':
        this.#isPrompted = true;
        return this.#options.reply({ kind: 'prompt', name: outcome.name, instruction: outcome.instruction, prompts: outcome.prompts });
      case 'key-acceptable':
        if (request.kind === 'request' && request.probe !== undefined)
          return this.#options.reply({ kind: 'key-acceptable', ...request.probe });
        return this.#options.fail('unexpected answer from the warden', 'ours');
      case 'full':
        return this.#options.reply({ kind: 'full' });
      case 'closed':
        return this.#options.reply({ kind: 'closed' });
    }
  }

  /** Tells the warden that the connection ended before it was logged in. */
  async abandon(): Promise<void> {
    await this.#options.warden.call('login.abandon', { connection: this.#options.connection });
  }
}
