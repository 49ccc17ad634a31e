// Owns: SFTP packet by packet over one connection: every open mode, every size, packets that no client library sends,
// and the words of each answer.
import { readFileSync } from 'node:fs';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import { RawClient, u32, u64 } from './raw-client.ts';
import type { World } from './world.ts';

export const flag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;
export const onward = flag.write | flag.create;
export const afresh = flag.write | flag.create | flag.truncate;

/** Code 0 is OK; -1 means that the connection ended instead. */
export type Said = { readonly code: number; readonly text: string };
const none = u32(0);
const sizeOf = (bytes: number): Buffer => Buffer.concat([u32(1), u64(bytes)]);
const timesOf = (seconds: number): Buffer => Buffer.concat([u32(8), u32(seconds), u32(seconds)]);

function said(packet: Buffer | undefined): Said {
  if (packet === undefined) return { code: -1, text: 'the connection ended' };
  if (packet[0] !== fx.status) return { code: 0, text: '' };
  const length = packet.readUInt32BE(9);
  return { code: packet.readUInt32BE(5), text: packet.subarray(13, 13 + length).toString('utf8') };
}

export class RawSftp {
  readonly client: RawClient;

  private constructor(client: RawClient) {
    this.client = client;
  }

  static async connect(world: World, account: string): Promise<RawSftp> {
    const { plane } = world.account(account);
    const client = await RawClient.open({
      port: (plane === 'internal' ? world.demo.internal : world.demo.partner).port,
    });
    if (!(await client.login(account, readFileSync(world.keyFile(account), 'utf8'))) || !(await client.sftp()))
      throw new Error('no session');
    return new RawSftp(client);
  }

  /** Returns the handle; throws the words of a refusal. */
  async open(path: string, flags: number): Promise<Buffer> {
    const packet = await this.client.ask(fx.open, path, u32(flags), none);
    if (packet?.[0] !== fx.handle) throw new Error(said(packet).text);
    return Buffer.from(packet.subarray(5));
  }

  /** What an OPEN is answered. A handle that it gives stays open. */
  opening = async (path: string | Uint8Array, flags: number): Promise<Said> =>
    said(await this.client.ask(fx.open, path, u32(flags), none));

  async write(handle: Buffer, offset: number, bytes: Buffer): Promise<Said> {
    for (let at = 0; at < bytes.length; at += 30_000) {
      const piece = bytes.subarray(at, at + 30_000);
      const answer = said(await this.client.ask(fx.write, handle, u64(offset + at), u32(piece.length), piece));
      if (answer.code !== 0) return answer;
    }
    return { code: 0, text: '' };
  }

  /** Announces more bytes than follow. */
  async writeMalformed(handle: Buffer, offset: number): Promise<Said> {
    return said(await this.client.ask(fx.write, handle, u64(offset), u32(100), Buffer.alloc(10)));
  }

  /** At most 200,000 bytes; throws the words of a refusal. */
  async read(path: string): Promise<Buffer> {
    const handle = await this.open(path, flag.read);
    const parts: Buffer[] = [];
    for (let at = 0; ; ) {
      const packet = await this.client.ask(fx.read, handle, u64(at), u32(200_000));
      if (packet?.[0] !== fx.data) break;
      parts.push(Buffer.from(packet.subarray(9)));
      at += packet.length - 9;
    }
    await this.close(handle);
    return Buffer.concat(parts);
  }

  /** What a READ on this handle is answered. */
  reading = async (handle: Buffer, offset: number | bigint, bytes: number): Promise<Said> =>
    said(await this.client.ask(fx.read, handle, u64(offset), u32(bytes)));
  close = async (handle: Buffer): Promise<Said> => said(await this.client.ask(fx.close, handle));
  resize = async (handle: Buffer, bytes: number): Promise<Said> =>
    said(await this.client.ask(fx.fsetstat, handle, sizeOf(bytes)));
  resizeName = async (path: string, bytes: number): Promise<Said> =>
    said(await this.client.ask(fx.setstat, path, sizeOf(bytes)));
  setTimes = async (path: string, seconds: number): Promise<Said> =>
    said(await this.client.ask(fx.setstat, path, timesOf(seconds)));
  mkdir = async (path: string | Uint8Array): Promise<Said> => said(await this.client.ask(fx.mkdir, path, none));
  rmdir = async (path: string): Promise<Said> => said(await this.client.ask(fx.rmdir, path));
  remove = async (path: string): Promise<Said> => said(await this.client.ask(fx.remove, path));
  opendir = async (path: string): Promise<Said> => said(await this.client.ask(fx.opendir, path));
  stat = async (path: string | Uint8Array): Promise<Said> => said(await this.client.ask(fx.stat, path));
  /** The size that STAT says; undefined when it is refused. */
  async size(path: string): Promise<number | undefined> {
    const packet = await this.client.ask(fx.stat, path);
    return packet?.[0] === fx.attrs ? Number(packet.readBigUInt64BE(9)) : undefined;
  }
  rename = async (from: string | Uint8Array, to: string | Uint8Array): Promise<Said> =>
    said(await this.client.ask(fx.extended, 'posix-rename@openssh.com', from, to));
  /** The RENAME of the protocol, which replaces nothing. */
  move = async (from: string | Uint8Array, to: string | Uint8Array): Promise<Said> =>
    said(await this.client.ask(fx.rename, from, to));
  fsync = async (handle: Buffer): Promise<Said> =>
    said(await this.client.ask(fx.extended, 'fsync@openssh.com', handle));
  exists = async (path: string): Promise<boolean> => (await this.client.ask(fx.stat, path))?.[0] === fx.attrs;

  /** Writes one file as a whole. */
  async put(path: string, bytes: Buffer): Promise<Said> {
    const handle = await this.open(path, afresh);
    const written = await this.write(handle, 0, bytes);
    return written.code === 0 ? this.close(handle) : written;
  }
}
