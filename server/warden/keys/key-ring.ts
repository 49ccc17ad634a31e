// Owns: the chain master key → customer key → file key, the sealing of small secrets, and the signature of receipts.
// Must never: let a master key or a customer key leave this folder.

import { createHash, createHmac, createPublicKey, hkdfSync, randomBytes, randomUUID, sign } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import { type ContentId, type CustomerId, type CustomerKeyId, idOf } from '../../domain/ids.ts';
import { Secret } from '../../domain/secrets.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { CheckpointSigner } from './checkpoint-signer.ts';

import { checkpointSigner } from './checkpoint-signer.ts';
import { type KeyConfig, loadLedgerKey, loadMasterKey, loadReceiptKey } from './key-files.ts';
import { type CustomerKeyRow, findCustomerKey, insertCustomerKey, newestCustomerKey } from './key-queries.ts';
import { unwrap, wrap } from './wrapping.ts';

const customerContext = (customer: CustomerId, key: CustomerKeyId, wrappedBy: string): readonly string[] => [
  'customer-key',
  customer,
  key,
  wrappedBy,
];
const fileContext = (customer: CustomerId, content: ContentId, wrappedBy: CustomerKeyId): readonly string[] => [
  'file-key',
  customer,
  content,
  wrappedBy,
];

const knownMax = 10_000;

export function createKeyRing(config: KeyConfig): KeyRing {
  const master = loadMasterKey(config);
  const receiptKey = loadReceiptKey(config);
  const ledgerKey = loadLedgerKey(config);
  const publicKey = createPublicKey(receiptKey);
  const id = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();

  const rowKey = new Secret(Buffer.from(hkdfSync('sha256', master.key.reveal(), '', 'cofferdam/row-seal/1', 32)));
  const storeKey = Buffer.from(hkdfSync('sha256', master.key.reveal(), '', 'cofferdam/store/1', 32));
  const known = new Map<string, CustomerKeyRow>();

  const requireMaster = (wrappedBy: string): Buffer => {
    if (wrappedBy !== master.id)
      throw new CofferdamError('unavailable', 'a key is wrapped by a master key that is not loaded');
    return master.key.reveal();
  };
  const openCustomerKey = (customer: CustomerId, row: CustomerKeyRow): Buffer =>
    unwrap(requireMaster(row.wrappedBy), row.wrapped, customerContext(customer, row.id, row.wrappedBy));

  const fileKeyUnder: KeyRing['fileKeyUnder'] = (customer, content, row) => {
    const fileKey = randomBytes(32);
    return {
      customerKeyId: row.id,
      fileKey,
      wrappedKey: wrap(openCustomerKey(customer, row), fileKey, fileContext(customer, content, row.id)),
    };
  };

  return {
    receiptPublicKey: { pem, id },
    signReceipt: (message) => sign(null, message, receiptKey),
    checkpointSigner: (origin) => checkpointSigner(ledgerKey, origin),
    async createCustomerKey(tx: Transaction, customer: CustomerId) {
      const key = idOf<CustomerKeyId>(randomUUID());
      await insertCustomerKey(tx, customer, {
        id: key,
        wrapped: wrap(master.key.reveal(), randomBytes(32), customerContext(customer, key, master.id)),
        wrappedBy: master.id,
      });
      return key;
    },
    async createFileKey(tx, customer, content) {
      const row = await newestCustomerKey(tx, customer);
      if (row === undefined) throw new CofferdamError('bug', 'a customer has no key');
      return fileKeyUnder(customer, content, row);
    },
    fileKeyUnder,
    async openFileKey(read, customer, content, customerKeyId, wrappedKey) {
      // Only wrapped rows are remembered. A row never changes under its id.
      const row =
        known.get(`${customer}/${customerKeyId}`) ?? (await read((tx) => findCustomerKey(tx, customer, customerKeyId)));
      if (row === undefined) throw new CofferdamError('corrupt', 'the key that wraps a file key is missing');
      if (known.size >= knownMax) known.clear();
      known.set(`${customer}/${customerKeyId}`, row);
      return unwrap(openCustomerKey(customer, row), wrappedKey, fileContext(customer, content, customerKeyId));
    },
    sealSecret: (purpose, owner, secret) => ({
      sealed: wrap(master.key.reveal(), secret, ['secret', purpose, owner, master.id]),
      sealedBy: master.id,
    }),
    sealRow: (parts) => {
      const mac = createHmac('sha256', rowKey.reveal());
      for (const part of parts) mac.update(`${Buffer.byteLength(part)}:`).update(part);
      return mac.digest();
    },
    rowSealId: master.id,
    storeKey,
    openSecret: (purpose, owner, sealed, sealedBy) =>
      unwrap(requireMaster(sealedBy), sealed, ['secret', purpose, owner, sealedBy]),
  };
}

/** Runs a reading transaction in the customer's scope. The transaction is begun only when the callee needs one. */
export type Read = <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>;

type NewFileKey = {
  readonly customerKeyId: CustomerKeyId;
  readonly wrappedKey: Buffer;
  readonly fileKey: Buffer;
};

export type KeyRing = {
  /** Creates and stores a new customer key. */
  createCustomerKey(tx: Transaction, customer: CustomerId): Promise<CustomerKeyId>;
  /**
   * Creates a random file key and wraps it with the customer's newest key. The wrapping is bound to `content` and is
   * ready for its row.
   */
  createFileKey(tx: Transaction, customer: CustomerId, content: ContentId): Promise<NewFileKey>;
  /** The same under a key of the customer that the caller has read (`newestCustomerKey`). Nothing is stored. */
  fileKeyUnder(customer: CustomerId, content: ContentId, row: CustomerKeyRow): NewFileKey;
  /** Unwraps a file key (32 bytes). Throws `corrupt` when the wrapping does not verify. */
  openFileKey(
    read: Read,
    customer: CustomerId,
    content: ContentId,
    customerKeyId: CustomerKeyId,
    wrappedKey: Buffer,
  ): Promise<Buffer>;
  /** Seals a small secret (a TOTP seed) to the warden. The sealed value is bound to `purpose` and `id`. */
  sealSecret(purpose: string, id: string, secret: Buffer): { readonly sealed: Buffer; readonly sealedBy: string };
  openSecret(purpose: string, id: string, sealed: Buffer, sealedBy: string): Buffer;
  /**
   * Returns the HMAC-SHA-256 (32 bytes) over the parts of a row, each preceded by its length. The key is used for
   * nothing else.
   */
  sealRow(parts: readonly string[]): Buffer;
  /**
   * The key (32 bytes) of tickets and acknowledgements, which the store has as well (`extents/object-tickets.ts`). It
   * opens nothing.
   */
  readonly storeKey: Buffer;
  /** The name of the key that `sealRow` uses. */
  readonly rowSealId: string;
  /** Signs a receipt. Returns the Ed25519 signature (64 bytes). */
  signReceipt(message: Buffer): Buffer;
  /** Returns the signer and verifier of checkpoints of the record under this name (C2SP signed-note). */
  checkpointSigner(origin: string): CheckpointSigner;
  /** The receipt key as SPKI PEM, and its short id: the first 16 hexadecimal digits of SHA-256 over the SPKI DER. */
  readonly receiptPublicKey: { readonly pem: string; readonly id: string };
};
