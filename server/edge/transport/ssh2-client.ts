// Owns: the access to ssh2's client, narrowly typed, for the self-test: one connection to our own listener.
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';

const require = createRequire(import.meta.url);

type ClientPrompts = (
  name: string,
  instruction: string,
  language: string,
  prompts: readonly { readonly prompt: string }[],
  finish: (answers: readonly string[]) => void,
) => void;
export type ClientSftp = {
  open(path: string, flags: 'r' | 'w' | 'a', done: (error: Error | undefined, handle: Buffer) => void): void;
  read(
    handle: Buffer,
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    done: (error: Error | undefined, bytes: number) => void,
  ): void;
  write(
    handle: Buffer,
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    done: (error: Error | undefined) => void,
  ): void;
  close(handle: Buffer, done: (error: Error | undefined) => void): void;
};
export type ClientMethod =
  | { readonly type: 'publickey'; readonly username: string; readonly key: string }
  | ClientInteractive
  | false;
type ClientInteractive = {
  readonly type: 'keyboard-interactive';
  readonly username: string;
  readonly prompt: ClientPrompts;
};
type ClientOptions = {
  readonly sock: Socket;
  readonly username: string;
  readonly readyTimeout: number;
  readonly hostVerifier: (blob: Buffer) => boolean;
  readonly authHandler: (
    left: readonly string[] | null,
    partial: boolean | null,
    next: (method: ClientMethod) => void,
  ) => void;
};
type Client = {
  on(event: 'ready' | 'close', listener: () => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  connect(options: ClientOptions): void;
  sftp(done: (error: Error | undefined, sftp: ClientSftp) => void): void;
  destroy(): void;
};

/** Creates a client. ssh2's client is loaded at the first call, so an edge without a self-test never loads it. */
export function newClient(): Client {
  const Client = require('ssh2/lib/client.js') as new () => Client;
  return new Client();
}
