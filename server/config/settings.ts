// Owns: the form of a configuration file: which keys there may be, and which values each of them may have.
// Must never: accept a key that nothing reads.
import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { parseNetwork } from '../domain/addresses.ts';
import { profileNames } from '../domain/algorithms.ts';
import { capMax } from '../domain/budgets/words.ts';
import { isValidAccountName } from '../domain/paths.ts';
import { defaultLimits, type Limits } from './config.ts';
import { type CredentialAges, defaultCredentialAges } from './credential-ages.ts';
import { ledgerSettings } from './ledger-settings.ts';
import { nodeAllowanceSettings } from './node-allowances.ts';
import { defaultShares } from './shares.ts';

const port = z.number().int().min(0).max(65_535);
/**
 * The path is resolved to one spelling, because other code decides by the beginning of a path whether it is below this
 * directory.
 */
const directory = z
  .string()
  .refine(isAbsolute, 'must be an absolute path')
  .transform((path) => resolve(path));
const limit = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
export const limitShape = Object.fromEntries(Object.keys(defaultLimits).map((name) => [name, limit.optional()])) as {
  [K in keyof Limits]: z.ZodOptional<typeof limit>;
};
const cap = z.number().int().min(0).max(capMax);
/** Bytes per second on the wire. */
const rate = z.number().int().min(1024).max(capMax);
const caps = z.strictObject({ hour: cap, day: cap, week: cap });
const direction = z.strictObject({ bytes: caps.optional(), files: caps.optional(), rate: rate.optional() });
const scopeBudget = z.strictObject({
  out: direction.optional(),
  in: direction.optional(),
  list: z.strictObject({ names: caps }).optional(),
  sessions: z.number().int().min(0).max(1_000_000).optional(),
});
export const budgetSettings = z.strictObject({
  credential: scopeBudget.optional(),
  internalCredential: scopeBudget.optional(),
  account: scopeBudget.optional(),
  customer: scopeBudget.optional(),
  plane: scopeBudget.optional(),
  gateway: scopeBudget.optional(),
  ceilingPercent: z.number().int().min(100).max(1000).optional(),
});
const ageShape = Object.fromEntries(
  Object.keys(defaultCredentialAges).map((name) => [
    name,
    z
      .number()
      .int()
      .min(1)
      .max(2 ** 40)
      .optional(),
  ]),
) as {
  [K in keyof CredentialAges]: z.ZodOptional<z.ZodNumber>;
};
export const credentialSettings = z.strictObject(ageShape);
/** A number in a line of the table of shares: of places, of waiting requests, or of milliseconds. */
const shareNumber = z.number().int().min(0).max(10_000_000);
const shareNumbers = z.strictObject({
  total: shareNumber.min(1).optional(),
  each: shareNumber.optional(),
  reserve: shareNumber.optional(),
  waiting: shareNumber.optional(),
  waitMs: shareNumber.optional(),
});
/**
 * Settings may change the numbers of existing lines of the table of shares. They cannot add a line, or change who holds
 * it.
 */
const linesOf = (names: readonly string[]) =>
  z.strictObject(Object.fromEntries(names.map((name) => [name, shareNumbers.optional()]))).optional();
export const shareSettings = z.strictObject({
  warden: linesOf(Object.keys(defaultShares.warden)),
  store: linesOf(Object.keys(defaultShares.store)),
  edge: linesOf(Object.keys(defaultShares.edge)),
  admin: linesOf(Object.keys(defaultShares.admin)),
});
const network = z
  .string()
  .refine((text) => parseNetwork(text) !== undefined, 'must be an address or a network such as 192.0.2.0/24');
const userName = z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/);

/** The keys that a configuration file may have. Every other key is a fault. */
export const settings = z.strictObject({
  mode: z.enum(['development', 'production']),
  demo: z.literal(false).optional(),
  runtimeDirectory: directory,
  storeDirectory: directory.optional(),
  edges: z
    .array(
      z.strictObject({
        node: z.string().refine(isValidAccountName, 'must be [a-z0-9][a-z0-9._-]{0,63}'),
        plane: z.enum(['partner', 'internal']),
        host: z.string().min(1).max(255),
        port,
        profile: z.enum(profileNames).optional(),
        balancers: z.array(network).max(64).optional(),
      }),
    )
    .min(1)
    .max(16),
  database: z
    .strictObject({
      embedded: z.boolean().optional(),
      migrateUrl: z.string().optional(),
      serverUrl: z.string().optional(),
      wardenUrl: z.string().optional(),
      adminUrl: z.string().optional(),
    })
    .optional(),
  admin: z
    .strictObject({ tcp: z.strictObject({ host: z.string().min(1).max(255), port: port.min(1) }).optional() })
    .optional(),
  metrics: z.strictObject({ wardenPort: port.optional(), edgePorts: z.array(port).max(16).optional() }).optional(),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).optional(),
      pretty: z.boolean().optional(),
    })
    .optional(),
  banner: z.string().max(2048).optional(),
  penaltyExempt: z.array(network).max(64).optional(),
  allowSlowCipher: z.boolean().optional(),
  users: z
    .strictObject({
      edges: z.record(z.string().max(64), userName),
      warden: userName,
      store: userName,
      admin: userName,
      database: userName,
    })
    .optional(),
  limits: z.strictObject(limitShape).optional(),
  perNode: nodeAllowanceSettings.optional(),
  budgets: budgetSettings.optional(),
  credentials: credentialSettings.optional(),
  ledger: ledgerSettings.optional(),
  shares: shareSettings.optional(),
});
export type Settings = z.infer<typeof settings>;
