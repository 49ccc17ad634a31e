// Owns: the steps of a login (RFC 4252, RFC 4256). Each message is handed to
// the warden as evidence, and the warden's answer is handed back.
// Must never: decide a login, or keep a proof longer than until the warden has it.

import { detach } from '../../domain/detached.ts';
import { toCofferdamError } from '../../domain/errors.ts';
import { Queue } from '../../domain/queue.ts';
import type { Evidence } from '../../rpc/edge-warden.ts';
import type { FailDetail, FailReason } from '../seam/fail-reasons.ts';
import type { SftpSession, WardenCalls } from '../seam/sftp-seam.ts';
import { userauthInfoResponse } from '../transport/messages/userauth-info-response.ts';
import { type UserauthRequest, userauthRequest } from '../transport/messages/userauth-request.ts';

type Probe = { readonly algorithm: string; readonly key: Uint8Array };
export type AuthRequest =
  | { readonly kind: 'request'; readonly username: string; readonly evidence: Evidence; readonly probe?: Probe }
  | { readonly kind: 'answers'; readonly answers: readonly string[] };

export type LoginReply =
  | {
      readonly kind: 'failure';
      readonly methods: readonly string[];
      readonly isPartial: boolean;
      /** What was refused: a signature, or a password or answer. Undefined when the client proved nothing. */
      readonly refused?: 'key' | 'guess' | undefined;
      /** What the person at the client is told about it. */
      readonly words?: string | undefined;
    }
  | { readonly kind: 'key-acceptable'; readonly algorithm: string; readonly key: Uint8Array }
  | {
      readonly kind: 'prompt';
      readonly name: string;
      readonly instruction: string;
      readonly prompts: readonly { readonly text: string; readonly echo: boolean }[];
    }
  | {
      readonly kind: 'success';
      readonly session: SftpSession;
      readonly absoluteLifeMs: number;
      readonly idleLifeMs: number;
    }
  | { readonly kind: 'full' }
  /** `isByKeys`: the last of several keys was refused, and nothing else was. */
  | { readonly kind: 'closed'; readonly isByKeys: boolean };

const waitingMax = 4;
/** The evidence that a request shows, and the key about which it only asks. */
function evidenceOf(request: UserauthRequest): { readonly evidence: Evidence; readonly probe?: Probe } {
  switch (request.method) {
    case 'publickey': {
      const { algorithm, key, signature } = request;
      const shown = { algorithm, key: key.toString('base64') };
      return signature === undefined
        ? { evidence: { type: 'public-key-probe', ...shown }, probe: { algorithm, key } }
        : { evidence: { type: 'public-key', ...shown, signature: signature.toString('base64') } };
    }
    case 'keyboard-interactive':
      return { evidence: { type: 'keyboard-interactive' } };
    case 'password':
      // This gateway never asks a client to change its password (RFC 4252 section 8), so such a request counts as no
      // proof.
      return {
        evidence:
          request.newPassword === undefined ? { type: 'password', password: request.password } : { type: 'none' },
      };
    case 'none':
    case 'other':
      // A method that is not offered is answered with the list of the methods that are.
      return { evidence: { type: 'none' } };
  }
}

/** Reads a request to log in. Throws on a malformed message, and when the service is not `ssh-connection`. */
export function readRequest(payload: Buffer): AuthRequest {
  const request = userauthRequest.read(payload);
  if (request.service !== 'ssh-connection') throw new Error('unknown service');
  return { kind: 'request', username: request.username, ...evidenceOf(request) };
}

/** Reads the answers to a prompt. Throws on a malformed message. */
export const readAnswers = (payload: Buffer): AuthRequest => ({
  kind: 'answers',
  ...userauthInfoResponse.read(payload),
});

/** What a message proves, if it proves anything. A question about a key proves nothing. */
function proofIn(request: AuthRequest): 'key' | 'guess' | undefined {
  if (request.kind === 'answers' || request.evidence.type === 'password') return 'guess';
  return request.evidence.type === 'public-key' ? 'key' : undefined;
}

type LoginDriverOptions = {
  /**
   * The name of this connection towards the warden. The warden issued
   * the session identifier of the first key exchange to the same name.
   */
  readonly connection: string;
  readonly warden: WardenCalls;
  readonly source: { readonly address: string; readonly port: number };
  readonly reply: (reply: LoginReply) => void;
  /**
   * Ends the connection. `ours` means that the warden could not or would not decide, which is no misdeed of the client.
   */
  readonly fail: (reason: FailReason, whose: 'client' | 'ours', more?: FailDetail) => void;
};

export class LoginDriver {
  readonly #options: LoginDriverOptions;
  readonly #waiting = new Queue<AuthRequest>();
  #username: string | undefined;
  #isBusy = false;
  #isPrompted = false;
  readonly #refused = { key: 0, guess: 0 };

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
    if (request.kind === 'answers' && !this.#isPrompted)
      return this.#options.fail('answers without a prompt', 'client');
    if (request.kind === 'request') {
      // RFC 4252 section 5 allows a client to change the user name. No
      // client needs that, and it would mix the proofs of two people.
      if (this.#username !== undefined && this.#username !== request.username)
        return this.#options.fail('the user name changed during login', 'client');
      this.#username = request.username;
    }
    this.#isPrompted = false;
    const outcome = await this.#options.warden.call('login.attempt', {
      connection: this.#options.connection,
      source: this.#options.source,
      username: this.#username ?? '',
      evidence: request.kind === 'request' ? request.evidence : { type: 'answers', answers: [...request.answers] },
    });
    switch (outcome.outcome) {
      case 'accepted': {
        const { id, token, account, kind, start, absoluteLifeMs, idleLifeMs } = outcome.session;
        this.#waiting.clear();
        return this.#options.reply({
          kind: 'success',
          session: { id, token, account, kind, start },
          absoluteLifeMs,
          idleLifeMs,
        });
      }
      case 'partial':
        return this.#options.reply({ kind: 'failure', methods: outcome.methods, isPartial: true });
      case 'refused': {
        const refused = proofIn(request);
        if (refused !== undefined) this.#refused[refused] += 1;
        const { methods, words } = outcome;
        return this.#options.reply({ kind: 'failure', methods, isPartial: false, refused, words });
      }
      case 'prompt':
        this.#isPrompted = true;
        return this.#options.reply({
          kind: 'prompt',
          name: outcome.name,
          instruction: outcome.instruction,
          prompts: outcome.prompts,
        });
      case 'key-acceptable':
        if (request.kind === 'request' && request.probe !== undefined)
          return this.#options.reply({ kind: 'key-acceptable', ...request.probe });
        return this.#options.fail('unexpected answer from the warden', 'ours');
      case 'full':
        return this.#options.reply({ kind: 'full' });
      case 'closed':
        return this.#options.reply({ kind: 'closed', isByKeys: this.#refused.key > 0 && this.#refused.guess === 0 });
    }
  }

  /** Tells the warden that the connection ended before it was logged in. */
  async abandon(): Promise<void> {
    await this.#options.warden.call('login.abandon', { connection: this.#options.connection });
  }
}
