// Owns: the seam between the SSH transport and the SFTP layer: a byte stream with flow control both ways, and who is logged in.
import type { Config } from '../config/config.ts';
import type { NodeName } from '../domain/ids.ts';
import type { Logger } from '../observability/logger.ts';
import type { EdgeToWarden } from '../rpc/edge-warden.ts';
import type { Params, Result } from '../rpc/operation.ts';
import type { FailDetail, FailReason } from './transport/fail-reasons.ts';

/** What a channel holds for its client; positive and negative bytes. */
export type BufferAccount = {
  addReplies(bytes: number): void;
  addSegments(bytes: number): void;
  /** Segments of uploads, from their first byte until they are sealed. */
  addUploads(bytes: number): void;
  /** For writes that came ahead of their place; false when there is no room, and nothing was taken then. */
  takeEarly(bytes: number): boolean;
  giveEarly(bytes: number): void;
  /** Whether another request may be taken, another segment kept, another one filled. */
  readonly hasReplyRoom: boolean;
  readonly hasSegmentRoom: boolean;
  readonly hasUploadRoom: boolean;
};

export type SftpOutput = {
  /** Queues bytes of the SFTP stream towards the client; the buffers are not touched afterwards. */
  send(chunks: readonly Buffer[]): void;
  /** This channel's account in the memory of the process. */
  readonly buffers: BufferAccount;
  /** Called when some of them have gone. */
  onDrain: (() => void) | undefined;
  /** So many received bytes were taken in: the client may send as many more. */
  consumed(bytes: number): void;
  /** Ends the channel: exit-status, EOF, CLOSE. */
  end(exitStatus: number): void;
  /** A violation of the protocol: the connection is destroyed. */
  fail(reason: FailReason, more?: FailDetail): void;
};

export type SftpInput = {
  /** A file is open, or something is being answered. */
  readonly isBusy: boolean;
  /** The chunk is the socket's: nothing of it may be kept when this returns, only copies. */
  data(chunk: Buffer): void;
  /** The client will send no more: pending work is finished, then `output.end(0)`. */
  eof(): void;
  /** The channel or connection is gone: open uploads are interrupted, downloads closed. Resolves when the warden knows. */
  closed(reason: 'client-closed' | 'connection-lost'): Promise<void>;
};

export type SftpSession = { readonly id: string; readonly token: string; readonly account: string; readonly kind: 'person' | 'machine' };

export type WardenCalls = {
  call<K extends keyof EdgeToWarden & string>(op: K, params: Params<EdgeToWarden, K>): Promise<Result<EdgeToWarden, K>>;
  /** The same, repeated while the warden is away, for calls that may be made twice: reads, grants, closes. */
  callRepeatable<K extends keyof EdgeToWarden & string>(op: K, params: Params<EdgeToWarden, K>): Promise<Result<EdgeToWarden, K>>;
};

export type EdgeNode = { readonly config: Config; readonly node: NodeName; readonly log: Logger };
export type StartConsole = (session: SftpSession, line: string, output: SftpOutput, warden: WardenCalls) => SftpInput;
export type StartSftp = (session: SftpSession, output: SftpOutput, warden: WardenCalls) => SftpInput;
