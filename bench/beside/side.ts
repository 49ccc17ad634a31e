// Owns: what a server is to the measurement: how a client reaches it, where the client puts and gets, what the server
// costs, and how files come into the folder from which the client gets them.
import type { CpuMeter } from './cpu-meter.ts';

export type SideName = 'cofferdam' | 'openssh' | 'proftpd';

export type Side = {
  readonly name: SideName;
  /** Its name in the report, with the version when the server is not ours. */
  readonly title: string;
  /** The arguments of `sftp`; the last one is the server. */
  readonly args: readonly string[];
  /** Where the client puts files, and where it gets them, ending with a slash. */
  readonly deposit: string;
  readonly collect: string;
  readonly cpu: CpuMeter;
  /** Makes the folder `name` in `collect` with all files of these local directories, none of which is empty. */
  fill(name: string, directories: readonly string[]): Promise<void>;
  /** Removes what the client put under this name, where that is possible and frees space. */
  clear(name: string): void;
  stop(): Promise<void>;
};

/** One client for all sides, and one cipher. */
export const cipher = 'aes128-gcm@openssh.com';
