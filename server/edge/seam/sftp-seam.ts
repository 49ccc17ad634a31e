// Owns: the interface between the SSH transport and the SFTP layer: a
// byte stream with flow control in both directions, and who is logged in.
import type { Limits, Paths } from '../../config/config.ts';
import type { NodeName } from '../../domain/ids.ts';
import type { VirtualPath } from '../../domain/paths.ts';
import type { Logger } from '../../observability/logger.ts';
import type { EdgeToWarden } from '../../rpc/edge-warden.ts';
import type { Params, Result } from '../../rpc/operation.ts';
import type { FailDetail, FailReason } from './fail-reasons.ts';

/**
 * The memory that one channel holds for its client. The `add…`
 * methods take a number of bytes, negative when memory is given back.
 */
export type BufferAccount = {
  addReplies(bytes: number): void;
  addSegments(bytes: number): void;
  /** Counts the buffers of upload segments, from their first byte until they are sealed. */
  addUploads(bytes: number): void;
  /**
   * Counts bytes of a write that arrived before bytes that come before
   * them in the file. Returns false, and counts nothing, when there is no room.
   */
  takeEarly(bytes: number): boolean;
  giveEarly(bytes: number): void;
  /** Whether another request may be accepted, another opened segment kept, and another upload segment filled. */
  readonly hasReplyRoom: boolean;
  readonly hasSegmentRoom: boolean;
  readonly hasUploadRoom: boolean;
};

export type SftpOutput = {
  /** Queues bytes of the SFTP stream for the client. The caller must not change the buffers afterwards. */
  send(chunks: readonly Buffer[]): void;
  /** This channel's account of the memory that the process may use for its clients. */
  readonly buffers: BufferAccount;
  /** Called when some of the queued bytes have been sent. */
  onDrain: (() => void) | undefined;
  /** Reports that `bytes` received bytes were processed, so that the client may send as many more. */
  consumed(bytes: number): void;
  /** Says that no more can be taken now, or again. What comes meanwhile may wait where it is, for a short while. */
  hold(isHeld: boolean): void;
  /**
   * Tells the person at the client one line beside the stream, on standard error. It may be dropped: see told-lines.ts.
   */
  tell(line: string): void;
  /** Ends the channel: sends exit-status, EOF and CLOSE after the bytes that are queued. */
  end(exitStatus: number): void;
  /** Destroys the connection, because the client violated the protocol or because of an internal error. */
  fail(reason: FailReason, more?: FailDetail): void;
};

export type SftpInput = {
  /** True while a file is open or a request is being answered. */
  readonly isBusy: boolean;
  /**
   * Takes the next bytes from the client. The chunk belongs to the
   * socket: only copies of it may be kept after this method has returned.
   */
  data(chunk: Buffer): void;
  /** Reports that the client will send no more. Pending work is finished, then `output.end(0)` is called. */
  eof(): void;
  /**
   * Reports that the channel or the connection is gone. Open uploads are interrupted
   * and downloads are closed. Resolves when the warden knows of all of them.
   */
  closed(reason: 'client-closed' | 'connection-lost'): Promise<void>;
};

export type SftpSession = {
  readonly id: string;
  readonly token: string;
  readonly account: string;
  readonly kind: 'person' | 'machine';
  /** Where relative paths begin. */
  readonly start: VirtualPath;
};

export type WardenCalls = {
  call<K extends keyof EdgeToWarden & string>(op: K, params: Params<EdgeToWarden, K>): Promise<Result<EdgeToWarden, K>>;
  /**
   * The same, but the call is repeated while the warden is away. Only for
   * operations that may be made twice, such as reads, grants and closes.
   */
  callRepeatable<K extends keyof EdgeToWarden & string>(
    op: K,
    params: Params<EdgeToWarden, K>,
  ): Promise<Result<EdgeToWarden, K>>;
};

/** What every part of one edge process may know: its name, its limits, and where its files are. */
export type EdgeNode = {
  readonly node: NodeName;
  readonly limits: Limits;
  readonly paths: Paths;
  readonly log: Logger;
};
export type StartConsole = (session: SftpSession, line: string, output: SftpOutput, warden: WardenCalls) => SftpInput;
export type StartSftp = (session: SftpSession, output: SftpOutput, warden: WardenCalls) => SftpInput;
