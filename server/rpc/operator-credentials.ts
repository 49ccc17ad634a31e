// Owns: the operations on credentials, the state of accounts, and activation windows: a part of the table in operator-admin.ts.
// Must never: carry a secret. cofferctl makes passwords and tickets; only their SHA-256 is sent.
import { z } from 'zod';
import { transferRowNames } from '../domain/authentication-policy.ts';
import {
  accountName,
  fingerprint,
  instant,
  listed,
  mayWiden,
  moment,
  more,
  narrows,
  network,
  none,
  operation,
  reads,
  rule,
  sha256,
  text,
  uuid,
  widens,
} from './operator-words.ts';

const reason = text(200);
const days = (max: number) => z.number().int().min(0).max(max);
/** One line of OpenSSH's public key format: algorithm, base64, optional comment. */
const publicKey = text(4096);

/** Selects credentials. All conditions that are given must hold, and at least one must be given. */
export const selection = z
  .strictObject({
    customer: accountName.optional(),
    account: accountName.optional(),
    fingerprint: fingerprint.optional(),
    /** Issued before this instant (ISO 8601). */
    staleBefore: moment.optional(),
    /** Used at least once from this network. */
    usedFrom: network.optional(),
  })
  .refine((value) => Object.values(value).some((one) => one !== undefined), 'name at least one condition');
export type Selection = z.infer<typeof selection>;

const credentialRow = z.strictObject({
  fingerprint: z.string(),
  type: z.string(),
  account: z.string(),
  customer: z.string().nullable(),
  algorithm: z.string(),
  /** One of pending, active, retiring, expired, dormant, suspended and revoked. */
  state: z.string(),
  issuedBy: z.string(),
  createdAt: instant,
  validFrom: instant,
  expiresAt: instant,
  firstUsedAt: instant.nullable(),
  firstUsedFrom: z.string().nullable(),
  lastUsedAt: instant.nullable(),
  lastUsedFrom: z.string().nullable(),
  readOnly: z.boolean(),
  networks: z.array(z.string()),
  /** The key that replaces this one. */
  successor: z.string().nullable(),
  openSessions: z.number(),
  endedAt: instant.nullable(),
  endedBy: z.string().nullable(),
  endedWhy: z.string().nullable(),
});
const rotationRow = z.strictObject({
  rotation: uuid,
  selection: z.string(),
  reason: z.string(),
  startedBy: z.string(),
  startedAt: instant,
  deadline: instant.nullable(),
  undoneAt: instant.nullable(),
  keys: z.number(),
  planned: z.number(),
  staged: z.number(),
  moved: z.number(),
  retired: z.number(),
  laggards: z.number(),
});
const rotationItem = z.strictObject({
  account: z.string(),
  customer: z.string().nullable(),
  fingerprint: z.string(),
  successor: z.string().nullable(),
  state: z.string(),
  retiresAt: instant.nullable(),
  movedAt: instant.nullable(),
  /** True when the overlap has begun or the old key has retired, and the new key was not used before the old key's end. */
  isLaggard: z.boolean(),
  contact: z.string().nullable(),
});
const windowRow = z.strictObject({
  account: z.string(),
  customer: z.string().nullable(),
  /** null for a single window. */
  name: z.string().nullable(),
  schedule: z.string().nullable(),
  opensAt: instant,
  closesAt: instant,
  isOpenNow: z.boolean(),
  openedBy: z.string(),
  reason: z.string(),
});
const timeOfDay = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'a time of day looks like 08:30');
const standing = z.strictObject({
  name: accountName,
  /** ISO days of the week; 1 is Monday. */
  days: z.array(z.number().int().min(1).max(7)).min(1).max(7),
  /** Times of day. A closing time before the opening time is on the next day; equal times are refused. */
  opens: timeOfDay,
  closes: timeOfDay,
  /** The name of an IANA time zone. */
  zone: z.string().regex(/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/, 'a time zone looks like Europe/Zurich'),
  forDays: z.number().int().min(1).max(90),
});

export const operatorCredentials = {
  'credential.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ customer: accountName.optional(), account: accountName.optional(), state: z.string().max(16).optional() }),
      result: z.strictObject({ credentials: z.array(credentialRow), more }),
    }),
    reads(),
  ),
  /** Shows one credential and what happened to it, the newest first. */
  'credential.show': rule(
    operation({
      changes: false,
      params: z.strictObject({ fingerprint }),
      result: z.strictObject({
        credential: credentialRow,
        history: z.array(z.strictObject({ at: instant, kind: z.string(), by: z.string().nullable(), text: z.string() })),
      }),
    }),
    reads(),
  ),
  /** Lists credentials that are dormant, will be dormant soon, or expire within the warning time. */
  'credential.stale': rule(
    operation({ changes: false, params: none, result: z.strictObject({ credentials: z.array(credentialRow), more }) }),
    reads(),
  ),
  /** Shows whom a revocation or rotation of this selection would concern. Changes nothing. */
  'credential.plan': rule(
    operation({
      changes: false,
      params: z.strictObject({ selection, what: z.enum(['revoke', 'rotate']) }),
      result: z.strictObject({
        credentials: z.array(credentialRow),
        more,
        count: z.number(),
        accounts: z.number(),
        openSessions: z.number(),
        /** The number of accounts that would be left without any usable credential. */
        locksOut: z.number(),
      }),
    }),
    reads(),
  ),
  'credential.revoke': rule(
    operation({
      changes: true,
      params: z.strictObject({ selection, reason }),
      result: z.strictObject({ revoked: z.number(), sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  /** Makes a dormant credential usable again. */
  'credential.wake': rule(operation({ changes: true, params: z.strictObject({ fingerprint, reason }), result: none }), widens),

  'key.add': rule(
    operation({
      changes: true,
      params: z.strictObject({
        account: accountName,
        publicKey,
        /** The account's request for this key, followed by this key's signature of it. Without it nobody has proved to have the key. */
        proof: text(16_384).optional(),
        expiresInDays: z.number().int().min(1).max(366).optional(),
        readOnly: z.boolean().optional(),
        networks: z.array(network).max(32).optional(),
        /** The key that this one replaces. Both are valid during the overlap. */
        replaces: fingerprint.optional(),
        overlapDays: days(90).optional(),
      }),
      result: z.strictObject({ fingerprint: z.string(), isProved: z.boolean(), expiresAt: instant, retiresAt: instant.nullable() }),
    }),
    widens,
  ),
  /** Ends the old key after the overlap, or at once. */
  'key.retire': rule(
    operation({
      changes: true,
      params: z.strictObject({ fingerprint, overlapDays: days(90), reason }),
      result: z.strictObject({ retiresAt: instant, sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  /** Makes a key that its customer asked for valid now, without the waiting time. */
  'key.confirm': rule(operation({ changes: true, params: z.strictObject({ fingerprint, reason }), result: none }), widens),

  /** Plans a rotation: which keys are to end, and when. Nothing happens to them before `rotation.advance`. */
  'rotation.start': rule(
    operation({
      changes: true,
      params: z.strictObject({ selection, overlapDays: days(90), reason }),
      result: z.strictObject({ rotation: uuid, keys: z.number(), deadline: instant }),
    }),
    narrows,
  ),
  /** Begins the overlap of at most 100 planned keys, and registers new keys for their accounts. Repeated until nothing remains. */
  'rotation.advance': rule(
    operation({
      changes: true,
      params: z.strictObject({ rotation: listed('rotation'), keys: z.array(z.strictObject({ account: accountName, publicKey })).max(100) }),
      result: z.strictObject({
        remaining: z.number(),
        opened: z.number(),
        staged: z.number(),
        refused: z.array(z.strictObject({ account: z.string(), why: z.string() })),
      }),
    }),
    mayWiden,
  ),
  'rotation.list': rule(
    operation({ changes: false, params: none, result: z.strictObject({ rotations: z.array(rotationRow), more }) }),
    reads(),
  ),
  'rotation.show': rule(
    operation({
      changes: false,
      params: z.strictObject({
        rotation: uuid,
        /** Only the laggards. */
        laggards: z.boolean().optional(),
        /** The last item of the page before. */
        after: z.strictObject({ account: z.string().max(64), fingerprint }).optional(),
      }),
      result: z.strictObject({ rotation: rotationRow, items: z.array(rotationItem), more }),
    }),
    reads(),
  ),
  /** Ends the old keys of all accounts that moved, now; with `laggards` the old keys of all accounts. */
  'rotation.finish': rule(
    operation({
      changes: true,
      params: z.strictObject({ rotation: listed('rotation'), laggards: z.boolean(), reason }),
      result: z.strictObject({ retired: z.number(), sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  /** Gives old keys that have not retired their former end back. New keys stay. */
  'rotation.undo': rule(
    operation({
      changes: true,
      params: z.strictObject({ rotation: listed('rotation'), reason }),
      result: z.strictObject({ restored: z.number() }),
    }),
    widens,
  ),

  /** Registers a password that cofferctl made and showed once. Its name finds the row; its SHA-256 is stored under Argon2id. */
  'password.issue': rule(
    operation({
      changes: true,
      params: z.strictObject({
        account: accountName,
        name: z.string().regex(/^password:[a-z2-7]{8}$/, 'the name of a password looks like password:abcdefgh'),
        digest: sha256,
        expiresInDays: z.number().int().min(1).max(366).optional(),
      }),
      result: z.strictObject({ expiresAt: instant }),
    }),
    widens,
  ),
  /** Registers a one-time ticket that cofferctl made and showed once. Only its SHA-256 is sent and stored. */
  'mfa.ticket': rule(
    operation({
      changes: true,
      params: z.strictObject({ account: accountName, ticketHash: sha256, hours: z.number().int().min(1).max(72).optional() }),
      result: z.strictObject({ expiresAt: instant }),
    }),
    widens,
  ),
  /** Removes the second factor, and ends its open tickets and the account's sessions. */
  'mfa.reset': rule(
    operation({
      changes: true,
      params: z.strictObject({ account: accountName, reason }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    narrows,
  ),

  'account.lock': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, reason }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  /** Undoes a lock, and resets the counters of failed guesses. */
  'account.unlock': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, reason }),
      result: z.strictObject({ wasLocked: z.boolean(), countersCleared: z.number() }),
    }),
    widens,
  ),
  /** Ends the account in this many days; null means never. */
  'account.expire': rule(
    operation({
      changes: true,
      params: z.strictObject({ name: accountName, inDays: z.number().int().min(0).max(3650).nullable(), reason }),
      result: z.strictObject({ expiresAt: instant.nullable(), sessionsEnded: z.number() }),
    }),
    mayWiden,
  ),
  'account.set': rule(
    operation({
      changes: true,
      params: z.strictObject({
        name: accountName,
        networks: z.array(network).max(64).optional(),
        readOnly: z.boolean().optional(),
        manages: z.boolean().optional(),
        contact: text(200).optional(),
        reason,
      }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    mayWiden,
  ),
  /** Sets the sets of proofs that this customer allows; null allows all that the policy has. Ends the open sessions. */
  'customer.policy': rule(
    operation({
      changes: true,
      params: z.strictObject({
        name: accountName,
        allow: z
          .array(z.enum(transferRowNames as [string, ...string[]]))
          .min(1)
          .nullable(),
        reason,
      }),
      result: z.strictObject({ sessionsEnded: z.number() }),
    }),
    mayWiden,
  ),

  'window.open': rule(
    operation({
      changes: true,
      params: z.strictObject({ account: accountName, hours: z.number().int().min(1).max(24), reason }),
      result: z.strictObject({ closesAt: instant }),
    }),
    widens,
  ),
  /** Opens a weekly schedule, which is a named exception that reports show. */
  'window.open-standing': rule(
    operation({
      changes: true,
      params: z.strictObject({ account: accountName, schedule: standing, reason }),
      result: z.strictObject({ validUntil: instant }),
    }),
    widens,
  ),
  /** Closes a window; without a name all windows of the account. Sessions that were opened by them end. */
  'window.close': rule(
    operation({
      changes: true,
      params: z.strictObject({ account: accountName, name: accountName.optional() }),
      result: z.strictObject({ closed: z.number(), sessionsEnded: z.number() }),
    }),
    narrows,
  ),
  'window.list': rule(
    operation({
      changes: false,
      params: z.strictObject({ account: accountName.optional() }),
      result: z.strictObject({ windows: z.array(windowRow), more }),
    }),
    reads(),
  ),
  /** Lists what the policy would rather not have: standing windows, with their ends. */
  'report.exceptions': rule(
    operation({ changes: false, params: none, result: z.strictObject({ exceptions: z.array(windowRow), more }) }),
    reads(),
  ),
} as const;
