// Owns: one account's session on a played node, and what it holds there: an upload with extents begun and stored, a
// download, a login under way.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import type { UserKey } from '../support/impostor.ts';
import { sealedExtent } from '../support/sealed-extent.ts';
import { durableOf, type Said } from '../support/store-client.ts';
import { type PlayedNode, Refused } from './node.ts';
import type { Stage } from './steps.ts';

export type Person = {
  readonly name: string;
  readonly key: UserKey;
  readonly customer: string;
  readonly customerId: string;
  readonly ticket?: string;
};
export type Fresh = {
  readonly index: number;
  readonly objectId: string;
  readonly key: string;
  readonly context: string;
  readonly ticket: string;
};
export type Extent = {
  readonly index: number;
  readonly objectId: string;
  readonly bytes: number;
  readonly sealedBytes: number;
  readonly inline?: string;
  /** What the store said of the object; not known before it was put. */
  durable?: Said;
};
type Granted = { readonly id: string; readonly token: string; readonly account: string };

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Returns the ciphertext of one extent, as an edge makes it. */
export function encrypt(fresh: Fresh, plain: Uint8Array): Buffer {
  return sealedExtent(Buffer.from(fresh.key, 'base64'), Buffer.from(fresh.context, 'base64'), plain);
}

export const inlineOf = (fresh: Fresh, plain: Uint8Array): Extent => ({
  index: fresh.index,
  objectId: fresh.objectId,
  bytes: plain.length,
  sealedBytes: sealedLength(plain.length),
  inline: encrypt(fresh, plain).toString('base64'),
});

/** An extent whose object is put into the store. */
export const inStore = (fresh: Pick<Fresh, 'index' | 'objectId'>, bytes: number): Extent => ({
  index: fresh.index,
  objectId: fresh.objectId,
  bytes,
  sealedBytes: sealedLength(bytes),
});

/** Too long to be kept in a row. */
const leftBytes = 100_000;

/** Random identifiers that no warden issued. */
const neverIssued = {
  token: randomBytes(32).toString('base64url'),
  session: randomUUID(),
  upload: randomUUID(),
  download: randomUUID(),
  connection: randomUUID(),
  identifier: randomBytes(32),
};

export class Player {
  readonly node: PlayedNode;
  readonly person: Person;
  token: string = neverIssued.token;
  session: string = neverIssued.session;
  upload: string = neverIssued.upload;
  download: string = neverIssued.download;
  customer: string;
  connection: string = neverIssued.connection;
  identifier: Buffer = neverIssued.identifier;
  stage: Stage | undefined;
  /** What the warden said of the name when it offered it. */
  standing = 0;
  path: readonly string[] = ['deposit', 'none'];
  /** A directory that may be made, or exists. */
  directory = 'd';
  /** The path of a file published for this account. */
  statement: readonly string[] = ['collect', 'none'];
  /** What is stored of the upload, and extents that were begun. */
  content: Buffer = Buffer.alloc(0);
  begun: Fresh[] = [];
  /** What it put and did not seal. */
  #left: { readonly extent: Extent; readonly plain: Buffer } | undefined;
  /** The signature that it showed last. */
  signature = '';

  constructor(node: PlayedNode, person: Person) {
    this.node = node;
    this.person = person;
    this.customer = person.customerId;
  }

  async exchange(): Promise<void> {
    ({ connection: this.connection, identifier: this.identifier } = await this.node.exchange());
  }

  evidence(): { readonly type: string; readonly signature?: string } {
    const evidence = this.person.key.evidence(this.person.name, this.identifier);
    if (evidence.type === 'public-key') this.signature = evidence.signature;
    return evidence;
  }

  async login(): Promise<void> {
    await this.exchange();
    const source = { address: '127.0.0.1', port: 1 };
    const { name: username, ticket } = this.person;
    const proofs = [
      this.evidence(),
      ...(ticket === undefined ? [] : [{ type: 'keyboard-interactive' }, { type: 'answers', answers: [ticket] }]),
    ];
    let login: { readonly outcome: string; readonly session?: Granted } = { outcome: 'nothing' };
    for (const evidence of proofs)
      login = await this.node.ask('login.attempt', { connection: this.connection, source, username, evidence });
    if (login.session === undefined) throw new Refused('login', login.outcome, `${username} is not let in`);
    this.token = login.session.token;
    this.session = login.session.id;
    this.stage = undefined;
    this.begun = [];
  }

  async open(path: readonly string[], isContinued: boolean): Promise<void> {
    const opened = await this.node.ask<{
      readonly upload: string;
      readonly customer: string;
      readonly firstExtent: Fresh;
    }>('upload.open', {
      token: this.token,
      path,
      continue: isContinued,
      exclusive: false,
    });
    this.path = path;
    this.upload = opened.upload;
    this.customer = opened.customer;
    this.begun = [opened.firstExtent];
  }

  async begin(): Promise<Fresh> {
    const fresh = await this.node.ask<Fresh>('upload.begin-extent', { token: this.token, upload: this.upload });
    this.begun.push(fresh);
    return fresh;
  }

  /** Stores one small extent. */
  async store(bytes: number): Promise<void> {
    const plain = randomBytes(bytes);
    const fresh = this.begun[0] ?? (await this.begin());
    await this.#seal(inlineOf(fresh, plain), plain);
  }

  async #seal(extent: Extent, plain: Buffer): Promise<void> {
    await this.node.ask('upload.seal-extent', { token: this.token, upload: this.upload, extent });
    this.content = Buffer.concat([this.content, plain]);
    this.begun = this.begun.filter((one) => one.objectId !== extent.objectId);
  }

  /**
   * Leaves an object in the store that belongs to the second extent that was begun, and was not sealed. The object that
   * it left before is sealed first: an object that no upload takes is deleted after a while.
   */
  async leaveObject(): Promise<void> {
    if (this.#left !== undefined) {
      await this.store(700);
      await this.#seal(this.#left.extent, this.#left.plain);
    }
    while (this.begun.length < 2) await this.begin();
    const [, fresh] = this.begun;
    if (fresh === undefined) throw new Error('an extent that was begun is gone');
    const plain = randomBytes(leftBytes);
    const durable = durableOf(await this.node.put(fresh.ticket, encrypt(fresh, plain)));
    this.#left = { extent: { ...inStore(fresh, plain.length), durable }, plain };
  }

  /** Has `path` offered. */
  async offer(path: readonly string[]): Promise<void> {
    const params = { token: this.token, path, continue: false, exclusive: false };
    const offered = await this.node.ask<{
      readonly upload: string;
      readonly customer: string;
      readonly standing: number;
      readonly extent?: { readonly objectId: string; readonly key: string; readonly context: string };
    }>('upload.offer', params);
    if (offered.extent === undefined) throw new Refused('upload.offer', 'opened', 'the name was not offered');
    this.path = path;
    this.upload = offered.upload;
    this.customer = offered.customer;
    this.standing = offered.standing;
    // No ticket belongs to it.
    this.begun = [{ index: 0, ...offered.extent, ticket: randomBytes(58).toString('base64') }];
  }

  /** Opens a new upload of `path` and brings it to this stage. */
  async openAt(stage: Stage, path: readonly string[]): Promise<void> {
    this.content = Buffer.alloc(0);
    if (stage === 'offered') {
      await this.offer(path);
      this.stage = stage;
      return;
    }
    await this.open(path, false);
    if (stage !== 'fresh') await this.store(700);
    if (stage === 'resumed') {
      await this.node.ask('upload.interrupt', { token: this.token, upload: this.upload });
      await this.open(path, true);
    }
    if (stage === 'based') {
      await this.closeWhole();
      await this.open(path, true);
    }
    await this.begin();
    this.stage = stage;
  }

  async closeWhole(): Promise<string> {
    const params = {
      token: this.token,
      upload: this.upload,
      whole: true,
      size: this.content.length,
      sha256: sha256(this.content),
    };
    return (await this.node.ask<{ readonly version: string }>('upload.close', params)).version;
  }

  async openDownload(path: readonly string[]): Promise<void> {
    const params = { token: this.token, path };
    const opened = await this.node.ask<{ readonly download: string; readonly customer: string }>(
      'download.open',
      params,
    );
    this.statement = path;
    this.download = opened.download;
    this.customer = opened.customer;
  }

  async end(): Promise<void> {
    await this.node.ask('session.end', { token: this.token, reason: 'client-closed', bytesIn: 0, bytesOut: 0 });
  }

  /**
   * Returns what the database still has of this player's session, upload and download. Removes from `begun` the extents
   * that are no longer issued.
   */
  async look(
    database: pg.Client,
  ): Promise<{ readonly session: boolean; readonly upload: boolean; readonly download: boolean }> {
    const { rows } = await database.query<{ session: boolean; upload: boolean; download: boolean; begun: string[] }>(
      `select s.state = 'open' as session, exists (select from version v where v.upload_id = $2 and v.session_id = s.id) as upload,
         exists (select from download d where d.id = $3 and d.session_id = s.id and d.closed_at is null) as download,
         array(select p.object_id from pending_extent p where p.upload_id = $2) as begun
       from session s where s.id = $1`,
      [this.session, this.upload, this.download],
    );
    const [found] = rows;
    if (found === undefined) return { session: false, upload: false, download: false };
    this.begun = this.begun.filter((one) => found.begun.includes(one.objectId));
    return found;
  }
}
