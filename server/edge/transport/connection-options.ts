// Owns: what a connection is given: its socket, the warden, what it may serve, and whom it tells what happened.
import type { Profile } from '../../domain/algorithms.ts';
import type { SocketReader } from '../../rpc/own-buffer.ts';
import type { Misdeed } from '../accept/admission.ts';
import type { EdgeNode, StartConsole, StartSftp, WardenCalls } from '../seam/sftp-seam.ts';
import type { BufferReserve } from './buffer-reserve.ts';
import type { ExchangeContext } from './exchange-context.ts';

export type ConnectionOptions<Connection> = {
  readonly reader: SocketReader;
  readonly node: EdgeNode;
  /**
   * The client's address in canonical form, and its port. Behind a load balancer both are what the PROXY header says.
   */
  readonly source: { readonly address: string; readonly port: number };
  readonly profile: Profile;
  readonly exchange: ExchangeContext;
  readonly offerFor: (identification: string) => object;
  readonly banner: string;
  readonly warden: WardenCalls;
  readonly startSftp: StartSftp;
  readonly startConsole: StartConsole;
  readonly isLeaseLive: () => boolean;
  readonly reserve: BufferReserve;
  readonly onLogin: () => void;
  /** Called when the first proof of a login counted. */
  readonly onProof: () => void;
  readonly onMisdeed: (misdeed: Misdeed) => void;
  /** Called at the end. `lastWords` resolves when the warden knows what became of the session and its transfers. */
  readonly onClosed: (connection: Connection, lastWords: Promise<void>) => void;
};
