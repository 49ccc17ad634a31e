// Owns: everything an edge may ask of the warden, and everything the warden may tell an edge; one row per operation.
// Must never: carry an identity of the caller. Node name and plane come from the socket, never from a parameter.
// The receiving side validates with these schemas before any handler runs; unknown keys are refused.
import { z } from 'zod';
import { hostKeyAlgorithms, keyExchangeMethods } from '../domain/algorithms.ts';
import { edgeEnds, sessionEndNames } from '../domain/session-ends.ts';
import { activeMax, edgeWords, inlineExtentBytesMax } from './edge-words.ts';
import { type OperationTable, operation } from './operation.ts';

// Parameters: words of the list, and closed sets. Results: what the warden says, in its own forms.
const { token, connection, upload, download, customer, path, name, address, port, movedBytes, modifiedAt } = edgeWords;
const uuid = z.uuid();
const base64 = (bytesMax: number) => z.base64().max(Math.ceil(bytesMax / 3) * 4);
const objectId = z.string().regex(/^[0-9a-f]{32}$/);
const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const index = z.number().int().min(0).max(10_000_000);
const epochSeconds = z.number().int().min(0).max(0xffff_ffff);

const ok = z.strictObject({});
/** The first bytes of a KEXINIT cookie that this warden will sign for: hexadecimal, changed every few minutes. */
const challenge = z.string().regex(/^[0-9a-f]{16}$/);

/** What an entry looks like to this session. Times are seconds since 1970. `mode` is POSIX type and permission bits. */
const attributes = z.strictObject({
  kind: z.enum(['directory', 'file']),
  size,
  modifiedAt: epochSeconds,
  /** Permission bits only, e.g. 0o750. The edge adds the type bits. */
  permissions: z.number().int().min(0).max(0o777),
});
export type Attributes = z.infer<typeof attributes>;

const source = z.strictObject({ address, port });

/** One proof, or the wish for a prompt. Signatures arrive as fields; the warden builds the signed blob (RFC 4252 section 7). */
const evidence = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  /** "Would you accept this key?" Carries no proof (T-13). `key` is the SSH wire form, `algorithm` the signature algorithm's name. */
  z.strictObject({ type: z.literal('public-key-probe'), algorithm: edgeWords.algorithm, key: edgeWords.publicKey }),
  z.strictObject({
    type: z.literal('public-key'),
    algorithm: edgeWords.algorithm,
    key: edgeWords.publicKey,
    /**
     * Complete signature blob of RFC 4252: string algorithm, string signature; both inside. Which session identifier it must cover is the
     * warden's own knowledge: the one it issued to this node for this connection.
     */
    signature: edgeWords.signature,
  }),
  z.strictObject({ type: z.literal('keyboard-interactive') }),
  z.strictObject({ type: z.literal('answers'), answers: z.array(edgeWords.answer).max(4) }),
  z.strictObject({ type: z.literal('password'), password: edgeWords.password }),
]);
export type Evidence = z.infer<typeof evidence>;

const method = z.enum(['publickey', 'keyboard-interactive', 'password']);

const sessionGrant = z.strictObject({
  id: uuid,
  token,
  account: z.string(),
  kind: z.enum(['person', 'machine']),
  /** Milliseconds from now; both are kept by the warden as well. */
  absoluteLifeMs: z.number().int().positive(),
  idleLifeMs: z.number().int().positive(),
});

const loginOutcome = z.discriminatedUnion('outcome', [
  z.strictObject({ outcome: z.literal('accepted'), session: sessionGrant }),
  /** This proof counted; further ones are needed. */
  z.strictObject({ outcome: z.literal('partial'), methods: z.array(method) }),
  /** The offered key would be worth a signature. The same answer is given for keys that are unknown. */
  z.strictObject({ outcome: z.literal('key-acceptable') }),
  z.strictObject({
    outcome: z.literal('prompt'),
    name: z.string().max(128),
    instruction: z.string().max(2048),
    prompts: z.array(z.strictObject({ text: z.string().max(256), echo: z.boolean() })).max(4),
  }),
  z.strictObject({ outcome: z.literal('refused'), methods: z.array(method) }),
  /** All proofs were given, but a scope of the account has as many sessions as it may have. */
  z.strictObject({ outcome: z.literal('full') }),
  /** No further attempt on this connection. */
  z.strictObject({ outcome: z.literal('closed') }),
]);
export type LoginOutcome = z.infer<typeof loginOutcome>;

/** One extent to be written: the only time its key is handed out for writing. */
const freshExtent = z.strictObject({ index, objectId, key: base64(32), context: base64(512) });
export type FreshExtent = z.infer<typeof freshExtent>;

const differentHostKeys = z
  .array(edgeWords.hostKey)
  .min(1)
  .max(16)
  .refine((keys) => new Set(keys).size === keys.length, 'each host key once');

const sealedExtent = z.strictObject({
  index: edgeWords.index,
  objectId: edgeWords.objectId,
  /** Plaintext bytes in this extent, 1 to 16 MiB less overhead. */
  bytes: edgeWords.extentBytes,
  /** Ciphertext bytes, header included. */
  sealedBytes: edgeWords.sealedBytes,
  /** Ciphertext of a small extent; absent when it was written to `incoming/<node>/<objectId>`. */
  inline: edgeWords.inline.optional(),
  /** The edge ended it, since its process had no room for more: its client pays nothing for that, down to the shortest that an edge cuts. */
  isCut: z.literal(true).optional(),
});

const storedExtent = z.strictObject({
  objectId,
  key: base64(32),
  context: base64(512),
  bytes: size,
  sealedBytes: size,
  inline: base64(inlineExtentBytesMax + 128).optional(),
});

const grantedExtent = z.strictObject({
  index,
  objectId,
  key: base64(32),
  /** Associated data of the sealed format: see server/extents. */
  context: base64(512),
  bytes: z.number().int().min(1).max(16_777_216),
  sealedBytes: z.number().int().min(1).max(16_777_216),
  inline: base64(inlineExtentBytesMax + 128).optional(),
});

/** The next piece of a flow: so many bytes, after so many milliseconds; 0: nothing is reserved, ask again then. */
const permit = z.strictObject({ bytes: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER), waitMs: z.number().int().min(0) });

const consoleAnswer = z.discriminatedUnion('outcome', [
  z.strictObject({ outcome: z.literal('done'), text: z.string().max(60_000), exitStatus: z.number().int().min(0).max(255) }),
  z.strictObject({ outcome: z.literal('input'), text: z.string().max(60_000), until: z.enum(['line', 'end']) }),
]);
export type ConsoleAnswer = z.infer<typeof consoleAnswer>;

/** Calls an edge makes. Columns: what goes in, what comes out, whether it changes anything. */
export const edgeToWarden = {
  /** First call on a connection. Refused when the node is unknown or of another protocol. */
  'node.hello': operation({
    changes: true,
    /** `nativeCipher`: whether the edge's word is that it runs with it. */
    params: z.strictObject({ protocol: z.literal(1), startId: edgeWords.startId, nativeCipher: z.boolean().optional() }),
    result: z.strictObject({
      node: z.string(),
      plane: z.enum(['partner', 'internal']),
      /** Public halves in the SSH wire form; `inUse` false: announced for the next rotation. */
      hostKeys: z.array(z.strictObject({ algorithm: z.enum(hostKeyAlgorithms), blob: base64(1024), inUse: z.boolean() })).max(16),
      challenge,
      epoch: z.number().int().min(0),
      banner: z.string().max(2048),
    }),
  }),
  /** Every 250 ms. Without an answer for `leaseLostMs` the edge stops sending. */
  'lease.renew': operation({
    changes: false,
    params: z.strictObject({
      sessions: edgeWords.sessionCount,
      epoch: edgeWords.epoch,
      /** Sessions of this node whose clients did something that was not told yet, and how long ago. */
      active: z.array(z.strictObject({ session: edgeWords.session, quietMs: edgeWords.quietMs })).max(activeMax),
    }),
    result: z.strictObject({
      epoch: z.number().int().min(0),
      /** Sessions of this node that are over since the given epoch. */
      ended: z.array(z.strictObject({ session: uuid, reason: z.enum(sessionEndNames) })).max(1000),
      challenge,
      /** An operator wants this run of the node to end: so long its transfers may still take. */
      drainWithinMs: z.number().int().min(0).nullable(),
    }),
  }),
  /**
   * Signs the exchange hash of one key exchange (RFC 4253 section 8), computed here over the transcript and the warden's own host key. The first one
   * of a connection is filed as a session identifier issued to this node; a login is possible for those only.
   */
  'exchange.sign': operation({
    changes: true,
    params: z.strictObject({
      connection,
      source,
      isFirst: z.boolean(),
      keyExchange: z.enum(keyExchangeMethods),
      hostKeyAlgorithm: z.enum(hostKeyAlgorithms),
      /** Lines without CR and LF. */
      clientIdentification: edgeWords.identification,
      serverIdentification: edgeWords.identification,
      clientKexInit: edgeWords.clientKexInit,
      serverKexInit: edgeWords.serverKexInit,
      clientPublic: edgeWords.exchangeValue,
      serverPublic: edgeWords.exchangeValue,
      /** K without its length. */
      sharedSecret: edgeWords.sharedSecret,
    }),
    result: z.strictObject({ hostKey: base64(1024), signature: base64(512) }),
  }),
  /** Proofs for hostkeys-prove-00@openssh.com: of each key named, over this session's identifier. Signature blobs (string algorithm, string signature). */
  'exchange.prove-host-keys': operation({
    changes: false,
    params: z.strictObject({ token, hostKeys: differentHostKeys }),
    result: z.strictObject({ signatures: z.array(base64(1024)).max(16) }),
  }),
  'login.attempt': operation({
    changes: true,
    /** With which program the client came is in the transcript that was signed. */
    params: z.strictObject({ connection, source, username: edgeWords.username, evidence }),
    result: loginOutcome,
  }),
  'login.abandon': operation({ changes: true, params: z.strictObject({ connection }), result: ok }),
  'session.end': operation({
    changes: true,
    params: z.strictObject({
      token,
      reason: z.enum(edgeEnds),
      bytesIn: movedBytes,
      bytesOut: movedBytes,
    }),
    result: ok,
  }),

  /** One line of the console: parsed and decided by the warden. `input`: it wants a line, or everything until the end of the stream. */
  'console.run': operation({ changes: true, params: z.strictObject({ token, line: edgeWords.consoleLine }), result: consoleAnswer }),
  'console.input': operation({ changes: true, params: z.strictObject({ token, text: edgeWords.consoleText }), result: consoleAnswer }),

  /** The node's own account for testing its controls, with this key from now on (SSH wire form). It reaches nothing but itself. */
  'self-test.begin': operation({
    changes: true,
    params: z.strictObject({ key: edgeWords.selfTestKey }),
    result: z.strictObject({ account: z.string().max(64), directory: z.string().max(256) }),
  }),
  /** An unused code of that account, and all codes that are right about now. Without `code`: after waitMs there is one. */
  'self-test.code': operation({
    changes: false,
    params: ok,
    result: z.strictObject({
      code: z.string().max(16).optional(),
      near: z.array(z.string().max(16)).max(8),
      waitMs: z.number().int().min(0),
    }),
  }),
  'self-test.report': operation({
    changes: true,
    params: z.strictObject({
      checks: z
        .array(z.strictObject({ check: z.enum(['cap', 'wrong-code', 'lockout']), bites: z.boolean(), text: edgeWords.verdictText }))
        .min(1)
        .max(8),
    }),
    result: ok,
  }),
  'tree.stat': operation({ changes: false, params: z.strictObject({ token, path }), result: attributes }),
  /** One page of a directory in name order; `after` is the last name of the page before. `next` is absent on the last page. */
  'tree.list': operation({
    changes: true,
    params: z.strictObject({ token, path, after: name.optional(), limit: edgeWords.pageLength }),
    result: z.strictObject({ entries: z.array(z.strictObject({ name: z.string(), attributes })).max(200), next: z.string().optional() }),
  }),
  'tree.remove': operation({ changes: true, params: z.strictObject({ token, path }), result: ok }),
  /** `replace` false: onto an existing name is refused (SSH_FXP_RENAME). True: posix-rename@openssh.com. */
  'tree.rename': operation({
    changes: true,
    params: z.strictObject({ token, from: path, to: path, replace: z.boolean() }),
    result: ok,
  }),
  'tree.make-directory': operation({ changes: true, params: z.strictObject({ token, path }), result: ok }),
  'tree.remove-directory': operation({ changes: true, params: z.strictObject({ token, path }), result: ok }),
  /** Keeps the modification time. Modes, owners and the access time are accepted and ignored by the edge. */
  'tree.set-times': operation({ changes: true, params: z.strictObject({ token, path, modifiedAt }), result: ok }),

  /**
   * Opens a file for writing. `continue` true (no truncation): an interrupted upload of the same account goes on at `storedBytes`; a complete one that nobody has
   * read is gone on from, as `baseBytes`: the upload has a content of its own and reads what it keeps of them (`upload.base-extent`).
   * `exclusive`: refused when the name exists.
   */
  'upload.open': operation({
    changes: true,
    params: z.strictObject({ token, path, continue: z.boolean(), exclusive: z.boolean() }),
    result: z.strictObject({
      upload: uuid,
      customer: uuid,
      /** Bytes of this content already stored; writing goes on here. */
      storedBytes: size,
      baseBytes: size.optional(),
      /** The object of the last stored extent: a node process may still know the running hash of everything up to it. */
      lastObject: objectId.optional(),
      firstExtent: freshExtent,
    }),
  }),
  /**
   * The client writes where bytes are stored already: the upload begins anew, and what was there becomes its base. `cut`: it is given up instead.
   * Before anything else was stored only.
   */
  'upload.rewrite': operation({
    changes: true,
    params: z.strictObject({ token, upload, cut: z.boolean() }),
    result: z.strictObject({ firstExtent: freshExtent }),
  }),
  'upload.begin-extent': operation({ changes: true, params: z.strictObject({ token, upload }), result: freshExtent }),
  /** The extent's object is complete in `incoming/` (or inline). Returns after it is durable, sealed and recorded. */
  'upload.seal-extent': operation({
    changes: true,
    params: z.strictObject({ token, upload, extent: sealedExtent }),
    result: z.strictObject({ storedBytes: size }),
  }),
  /**
   * Ready-to-verify key of an extent this upload stored earlier, so that the edge can hash a resumed upload whole.
   * Allowed before close, to the uploading account only; on the record.
   */
  'upload.verify-extent': operation({
    changes: true,
    params: z.strictObject({ token, upload, index: edgeWords.index }),
    result: storedExtent,
  }),
  /** The same of its base: the extent that holds the byte at `offset`, which the upload takes over into a content of its own. */
  'upload.base-extent': operation({
    changes: true,
    params: z.strictObject({ token, upload, offset: edgeWords.offset }),
    result: storedExtent.extend({ start: size }),
  }),
  /**
   * Commits the upload: catalogue, ledger and receipt in one transaction. `lastExtent` saves a round trip. The client's OK follows the result.
   * `whole`: the edge's word that it refused nothing on this handle. Without it, or against what the warden knows itself, there is no file.
   */
  'upload.close': operation({
    changes: true,
    params: z.strictObject({
      token,
      upload,
      whole: z.boolean(),
      size: edgeWords.size,
      sha256: edgeWords.sha256,
      modifiedAt: modifiedAt.optional(),
      lastExtent: sealedExtent.optional(),
    }),
    result: z.strictObject({ version: uuid }),
  }),
  /**
   * The connection was lost, the client gave up, or the session is over: what was sealed stays resumable. This, and what must come before it
   * (`upload.begin-extent`, `upload.seal-extent`), is served for a moment after a session's end, so that nothing acknowledged is lost.
   */
  'upload.interrupt': operation({
    changes: true,
    params: z.strictObject({ token, upload, lastExtent: sealedExtent.optional() }),
    /** What is stored now, and the object of its last extent. */
    result: z.strictObject({ storedBytes: size, lastObject: objectId.optional() }),
  }),

  'download.open': operation({
    changes: true,
    params: z.strictObject({ token, path }),
    result: z.strictObject({ download: uuid, customer: uuid, size, modifiedAt: epochSeconds }),
  }),
  /** The extents that hold bytes from `offset` on, in order; at most 256 a call. */
  'download.locate': operation({
    changes: false,
    params: z.strictObject({ token, download, offset: edgeWords.offset }),
    result: z.strictObject({ extents: z.array(z.strictObject({ index, offset: size, bytes: size })).max(256) }),
  }),
  /**
   * Charge, record, commit, key: in that order. No budget, no key. A cap that refuses is the error `over-limit`, its text ready for the
   * client: persons read the reason and when there is more, machines a code.
   */
  'download.grant': operation({
    changes: true,
    params: z.strictObject({ token, download, index: edgeWords.index }),
    result: grantedExtent,
  }),
  /** Before bytes go over the wire: one steady flow per scope, wherever its transfers run. `customer` as given by open. */
  'flow.permit': operation({
    changes: true,
    params: z.strictObject({
      token,
      customer,
      direction: z.enum(['out', 'in']),
      bytes: edgeWords.permitBytes,
    }),
    result: permit,
  }),
  /** `by`: its client closed it, or it was cut (connection, session or edge): then nobody knows what of the sent bytes arrived. */
  'download.close': operation({
    changes: true,
    params: z.strictObject({ token, download, sentBytes: movedBytes, by: z.enum(['client', 'cut']) }),
    result: ok,
  }),
} as const satisfies OperationTable;

/** Calls the warden makes on an edge. */
export const wardenToEdge = {
  'session.terminate': operation({ changes: true, params: z.strictObject({ session: uuid, reason: z.enum(sessionEndNames) }), result: ok }),
  /** This warden is about to stop. The answer is the edge's last word here: everything it asked before is still answered, nothing follows. */
  'warden.leaving': operation({ changes: true, params: ok, result: ok }),
} as const satisfies OperationTable;

export type EdgeToWarden = typeof edgeToWarden;
export type WardenToEdge = typeof wardenToEdge;
