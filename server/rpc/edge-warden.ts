// Owns: every operation that an edge may call in the warden, and every one that the warden may call in an edge; one row
// for each.
// Must never: carry an identity of the caller. The node's name and plane come from the socket, never from a parameter.
// The receiving side validates parameters with these schemas before any handler runs. Unknown keys are refused.
import { z } from 'zod';
import { hostKeyAlgorithms, keyExchangeMethods } from '../domain/algorithms.ts';
import { edgeEnds, sessionEndNames } from '../domain/session-ends.ts';
import {
  freshExtent,
  grantedExtent,
  locatedExtent,
  openedUpload,
  sealedExtent,
  size,
  smallExtent,
  storedExtent,
  uploadOffer,
} from './edge-extents.ts';
import { activeMax, edgeWords } from './edge-words.ts';
import { type OperationTable, operation } from './operation.ts';

// Parameters use the values of edge-words.ts, and closed sets. Results have forms of their own.
const { token, connection, upload, download, customer, path, name, address, port, movedBytes, modifiedAt } = edgeWords;
const uuid = z.uuid();
const base64 = (bytesMax: number) => z.base64().max(Math.ceil(bytesMax / 3) * 4);
const objectId = z.string().regex(/^[0-9a-f]{32}$/);
const epochSeconds = z.number().int().min(0).max(0xffff_ffff);

const ok = z.strictObject({});
/** The first bytes of the KEXINIT cookie for which this warden signs, in hexadecimal. It changes every few minutes. */
const challenge = z.string().regex(/^[0-9a-f]{16}$/);

/** The attributes of an entry, as this session sees it. Times are seconds since 1970. */
const attributes = z.strictObject({
  kind: z.enum(['directory', 'file']),
  size,
  modifiedAt: epochSeconds,
  /** Permission bits only, such as 0o750. The edge adds the type bits. */
  permissions: z.number().int().min(0).max(0o777),
});
export type Attributes = z.infer<typeof attributes>;
/**
 * What is at a path. `writing` is there while an upload of this account has the name; `upload` names it when it belongs
 * to this session.
 */
const found = attributes.extend({ writing: z.strictObject({ upload: uuid.optional() }).optional() });
export type Found = z.infer<typeof found>;

const source = z.strictObject({ address, port });

/**
 * One proof, or the request for a prompt. A signature comes without the signed blob, which the warden builds (RFC 4252
 * section 7).
 */
const evidence = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  /**
   * Asks whether a key would be accepted; proves nothing (T-13). `key` is in SSH wire form, `algorithm` names the
   * signature algorithm.
   */
  z.strictObject({ type: z.literal('public-key-probe'), algorithm: edgeWords.algorithm, key: edgeWords.publicKey }),
  z.strictObject({
    type: z.literal('public-key'),
    algorithm: edgeWords.algorithm,
    key: edgeWords.publicKey,
    /**
     * The complete signature blob of RFC 4252 (string algorithm, string signature). The session identifier
     * that it must cover is known to the warden: the one that it issued to this node for this connection.
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
  /** Where relative paths begin, as names from the root on. */
  start: z.array(z.string().max(255)).max(2),
  /** The lives of the session in milliseconds from now. The warden keeps both as well. */
  absoluteLifeMs: z.number().int().positive(),
  idleLifeMs: z.number().int().positive(),
});

const loginOutcome = z.discriminatedUnion('outcome', [
  z.strictObject({ outcome: z.literal('accepted'), session: sessionGrant }),
  /** This proof counted; further proofs are needed. */
  z.strictObject({ outcome: z.literal('partial'), methods: z.array(method) }),
  /** A signature by the offered key would be considered. Unknown keys get the same answer. */
  z.strictObject({ outcome: z.literal('key-acceptable') }),
  z.strictObject({
    outcome: z.literal('prompt'),
    name: z.string().max(128),
    instruction: z.string().max(2048),
    prompts: z.array(z.strictObject({ text: z.string().max(256), echo: z.boolean() })).max(4),
  }),
  /** `words` are for the person at the client; only who has proved something before is told any. */
  z.strictObject({ outcome: z.literal('refused'), methods: z.array(method), words: z.string().max(256).optional() }),
  /** All proofs were given, but a scope of the account has as many sessions as it may have. */
  z.strictObject({ outcome: z.literal('full') }),
  /** No further attempt is allowed on this connection. */
  z.strictObject({ outcome: z.literal('closed') }),
]);
export type LoginOutcome = z.infer<typeof loginOutcome>;

const differentHostKeys = z
  .array(edgeWords.hostKey)
  .min(1)
  .max(16)
  .refine((keys) => new Set(keys).size === keys.length, 'each host key once');

/**
 * A permit for the next bytes of a flow: `bytes` may be sent after `waitMs` milliseconds. 0 reserves nothing: ask again
 * after the wait.
 */
const permit = z.strictObject({
  bytes: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  waitMs: z.number().int().min(0),
});

const consoleAnswer = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('done'),
    text: z.string().max(60_000),
    exitStatus: z.number().int().min(0).max(255),
  }),
  z.strictObject({ outcome: z.literal('input'), text: z.string().max(60_000), until: z.enum(['line', 'end']) }),
]);
export type ConsoleAnswer = z.infer<typeof consoleAnswer>;

/** The calls of an edge. The columns are: whether the call changes anything, the parameters, and the result. */
export const edgeToWarden = {
  /** The first call on a connection. It is refused when the node is unknown or speaks another protocol. */
  'node.hello': operation({
    changes: true,
    /** `nativeCipher` is what the edge reports: whether it runs with the native cipher. */
    params: z.strictObject({
      protocol: z.literal(1),
      startId: edgeWords.startId,
      nativeCipher: z.boolean().optional(),
    }),
    result: z.strictObject({
      node: z.string(),
      plane: z.enum(['partner', 'internal']),
      /** Public halves in the SSH wire form. `inUse` false means that the key is announced for the next rotation. */
      hostKeys: z
        .array(z.strictObject({ algorithm: z.enum(hostKeyAlgorithms), blob: base64(1024), inUse: z.boolean() }))
        .max(16),
      challenge,
      /** The newest number of an ended session (`ended_epoch`): sessions that ended earlier need not be told. */
      epoch: z.number().int().min(0),
      banner: z.string().max(2048),
    }),
  }),
  /** Called every `leaseIntervalMs` (250 ms). An edge that has no answer for `leaseLostMs` stops sending. */
  'lease.renew': operation({
    changes: false,
    params: z.strictObject({
      sessions: edgeWords.sessionCount,
      epoch: edgeWords.epoch,
      /** The sessions of this node whose clients did something that was not reported yet, and how long ago. */
      active: z.array(z.strictObject({ session: edgeWords.session, quietMs: edgeWords.quietMs })).max(activeMax),
    }),
    result: z.strictObject({
      /**
       * The newest epoch of `ended`, or the given one when nothing ended. It has nothing to do with the record's
       * epochs.
       */
      epoch: z.number().int().min(0),
      /** The sessions of this node that have ended since the given epoch. */
      ended: z.array(z.strictObject({ session: uuid, reason: z.enum(sessionEndNames) })).max(1000),
      challenge,
      /**
       * How long transfers may still take, because an operator wants this run of the node to end; null without such an
       * order.
       */
      drainWithinMs: z.number().int().min(0).nullable(),
    }),
  }),
  /**
   * Signs the exchange hash of one key exchange (RFC 4253 section 8), which the warden computes over the transcript and
   * its own host key. The first hash of a connection is stored as a session identifier issued to this node; logins need
   * such an identifier.
   */
  'exchange.sign': operation({
    changes: true,
    params: z.strictObject({
      connection,
      source,
      isFirst: z.boolean(),
      keyExchange: z.enum(keyExchangeMethods),
      hostKeyAlgorithm: z.enum(hostKeyAlgorithms),
      /** The identification lines without CR and LF. */
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
  /**
   * Proves each of these host keys over the session identifier (hostkeys-prove-00@openssh.com), by a blob: algorithm,
   * signature.
   */
  'exchange.prove-host-keys': operation({
    changes: false,
    params: z.strictObject({ token, hostKeys: differentHostKeys }),
    result: z.strictObject({ signatures: z.array(base64(1024)).max(16) }),
  }),
  'login.attempt': operation({
    changes: true,
    /** The client's program is known from its identification line in the transcript that was signed. */
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

  /** Runs one console command. The outcome `input` asks for one line, or for everything up to the end of the stream. */
  'console.run': operation({
    changes: true,
    params: z.strictObject({ token, line: edgeWords.consoleLine }),
    result: consoleAnswer,
  }),
  'console.input': operation({
    changes: true,
    params: z.strictObject({ token, text: edgeWords.consoleText }),
    result: consoleAnswer,
  }),

  /**
   * Prepares the node's own account for testing its controls, with this key (SSH wire form). The account reaches only
   * files of its own.
   */
  'self-test.begin': operation({
    changes: true,
    params: z.strictObject({ key: edgeWords.selfTestKey }),
    result: z.strictObject({ account: z.string().max(64), directory: z.string().max(256) }),
  }),
  /**
   * Returns an unused code of that account, and all codes that are valid about now. Without `code`, one is available
   * after `waitMs`.
   */
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
        .array(
          z.strictObject({
            check: z.enum(['cap', 'wrong-code', 'lockout']),
            bites: z.boolean(),
            text: edgeWords.verdictText,
          }),
        )
        .min(1)
        .max(8),
    }),
    result: ok,
  }),
  'tree.stat': operation({ changes: false, params: z.strictObject({ token, path }), result: found }),
  /**
   * Returns what the session may still store at this path: cap and room of the tightest window of its own budgets, in
   * bytes and in files. Without the right to write there, and while the store is full, the room is 0.
   */
  'tree.space': operation({
    changes: false,
    params: z.strictObject({ token, path }),
    result: z.strictObject({
      capBytes: size,
      freeBytes: size,
      capFiles: size,
      freeFiles: size,
      isWritable: z.boolean(),
    }),
  }),
  /**
   * Returns one page of a directory in name order: at most `limit` names, and no more than one frame holds. `after` is
   * the last name of the page before; `next` is absent on the last page.
   */
  'tree.list': operation({
    changes: true,
    params: z.strictObject({ token, path, after: name.optional(), limit: edgeWords.pageLength }),
    result: z.strictObject({
      entries: z.array(z.strictObject({ name: z.string(), attributes })).max(1000),
      next: z.string().optional(),
    }),
  }),
  'tree.remove': operation({ changes: true, params: z.strictObject({ token, path }), result: ok }),
  /** With `replace` false, an existing target is refused (SSH_FXP_RENAME); true is posix-rename@openssh.com. */
  'tree.rename': operation({
    changes: true,
    params: z.strictObject({ token, from: path, to: path, replace: z.boolean() }),
    result: ok,
  }),
  'tree.make-directory': operation({ changes: true, params: z.strictObject({ token, path }), result: ok }),
  'tree.remove-directory': operation({ changes: true, params: z.strictObject({ token, path }), result: ok }),
  /** Keeps the modification time. The edge accepts modes, owners and the access time, and ignores them. */
  'tree.set-times': operation({ changes: true, params: z.strictObject({ token, path, modifiedAt }), result: ok }),

  /**
   * Opens a file for writing. With `continue` (no truncation), an interrupted upload of the same account goes on at
   * `storedBytes`. A complete file that nobody has read is continued from its `baseBytes` bytes: the upload has a
   * content of its own, and reads what it keeps (`upload.base-extent`). With `exclusive`, an existing name is refused;
   * with `mustExist`, one that does not exist.
   */
  'upload.open': operation({
    changes: true,
    params: z.strictObject({
      token,
      path,
      continue: z.boolean(),
      exclusive: z.boolean(),
      mustExist: z.boolean().optional(),
    }),
    result: openedUpload,
  }),
  /**
   * The same, but in the plain case (a new version, for which nothing is given up or continued) the name is only looked
   * at, and reserved for the life of the offer that is the answer.
   */
  'upload.offer': operation({
    changes: true,
    params: z.strictObject({ token, path, continue: z.boolean(), exclusive: z.boolean() }),
    result: z.discriminatedUnion('outcome', [uploadOffer, openedUpload.extend({ outcome: z.literal('opened') })]),
  }),
  /**
   * Makes an upload like any other of an offer, whether or not this warden made it and still knows it. What came under
   * the name since the offer is not given up for it.
   */
  'upload.begin': operation({
    changes: true,
    params: z.strictObject({ token, upload, path, standing: edgeWords.standing }),
    result: openedUpload,
  }),
  /**
   * Stores the file of an offer: charge, catalogue, ledger and receipt in one transaction. The client's OK follows. A
   * repeated call is answered with the result of the first one. An empty file has no extent. `not-found` means that the
   * offer is over and nothing was stored; `upload.begin` goes on from there.
   */
  'upload.put': operation({
    changes: true,
    params: z.strictObject({
      token,
      upload,
      whole: z.boolean(),
      size: edgeWords.size,
      sha256: edgeWords.sha256,
      modifiedAt: modifiedAt.optional(),
      extent: smallExtent.optional(),
    }),
    result: z.strictObject({ version: uuid }),
  }),
  /**
   * Begins the upload anew, because the client writes where bytes are stored already. What was there
   * becomes its base, or is given up with `cut`. Possible only before anything else was stored.
   */
  'upload.rewrite': operation({
    changes: true,
    params: z.strictObject({ token, upload, cut: z.boolean() }),
    result: z.strictObject({ firstExtent: freshExtent }),
  }),
  'upload.begin-extent': operation({ changes: true, params: z.strictObject({ token, upload }), result: freshExtent }),
  /**
   * Seals an extent which the store has acknowledged as durable, or which comes with the call. Returns when it is
   * sealed and recorded.
   */
  'upload.seal-extent': operation({
    changes: true,
    params: z.strictObject({ token, upload, extent: sealedExtent }),
    result: z.strictObject({ storedBytes: size }),
  }),
  /**
   * Returns the key of an extent that this upload stored earlier, so that the edge can hash a resumed
   * upload as a whole. Possible before the close, for the account that uploads only. It is recorded.
   */
  'upload.verify-extent': operation({
    changes: true,
    params: z.strictObject({ token, upload, index: edgeWords.index }),
    result: storedExtent,
  }),
  /**
   * The same for an extent of the base: the one with the byte at `offset`, which the upload copies into its own
   * content.
   */
  'upload.base-extent': operation({
    changes: true,
    params: z.strictObject({ token, upload, offset: edgeWords.offset }),
    result: storedExtent.extend({ start: size }),
  }),
  /**
   * Commits the upload: catalogue, ledger and receipt in one transaction. The client's OK follows. `lastExtent` saves a
   * round trip. `whole` is the edge's statement that it refused nothing on this handle. Without it, or against what the
   * warden itself knows, no file is made.
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
   * Ends an upload whose connection was lost, whose client gave up, or whose session has ended; sealed bytes stay
   * resumable. Like `begin-extent` and `seal-extent`, it is served for a short time after the end of a session, so that
   * no acknowledged byte is lost.
   */
  'upload.interrupt': operation({
    changes: true,
    params: z.strictObject({ token, upload, lastExtent: sealedExtent.optional() }),
    /** The number of bytes stored now, and the object of the last extent. */
    result: z.strictObject({ storedBytes: size, lastObject: objectId.optional() }),
  }),

  'download.open': operation({
    changes: true,
    params: z.strictObject({ token, path }),
    /**
     * `extents` has the first extents of the file, so that a small one is read without a question where it is. A handle
     * of which nothing was read yet may be forgotten (`not-found`): then the file is opened again, and is the same one
     * when its `version` is.
     */
    result: z.strictObject({
      download: uuid,
      customer: uuid,
      version: uuid,
      size,
      modifiedAt: epochSeconds,
      extents: z.array(locatedExtent).max(16).optional(),
      /** Nothing depends on when the CLOSE is known: the client need not wait until it is recorded. */
      closesAside: z.literal(true).optional(),
    }),
  }),
  /** Returns the extents that hold bytes from `offset` on, in order; at most 256 in one call. */
  'download.locate': operation({
    changes: false,
    params: z.strictObject({ token, download, offset: edgeWords.offset }),
    result: z.strictObject({ extents: z.array(locatedExtent).max(256) }),
  }),
  /**
   * Charges, records, commits, and then returns the key, in this order. Without budget there is no key. A cap that
   * refuses is the error `over-limit` with a text for the client: a person reads the reason and when there is more, a
   * machine reads a code.
   */
  'download.grant': operation({
    changes: true,
    params: z.strictObject({ token, download, index: edgeWords.index }),
    result: grantedExtent,
  }),
  /**
   * Asks for a permit before bytes are sent: one steady flow for each scope, wherever its transfers run. `customer` is
   * that of open.
   */
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
  /**
   * `by` is `client` when the client closed the handle, `cut` when it was lost; then nobody knows how many of the bytes
   * sent arrived.
   */
  'download.close': operation({
    changes: true,
    params: z.strictObject({ token, download, sentBytes: movedBytes, by: z.enum(['client', 'cut']) }),
    result: ok,
  }),
} as const satisfies OperationTable;

/** The calls that the warden makes on an edge. */
export const wardenToEdge = {
  'session.terminate': operation({
    changes: true,
    params: z.strictObject({ session: uuid, reason: z.enum(sessionEndNames) }),
    result: ok,
  }),
  /**
   * This warden is about to stop. The edge's answer is its last message here; everything that it asked before is still
   * answered.
   */
  'warden.leaving': operation({ changes: true, params: ok, result: ok }),
} as const satisfies OperationTable;

export type EdgeToWarden = typeof edgeToWarden;
export type WardenToEdge = typeof wardenToEdge;
