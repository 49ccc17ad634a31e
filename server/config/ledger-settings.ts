// Owns: where the checkpoints and entries of the record go beside the database, and how long entries stay in the
// database.
// Must never: be without a witness. What no other party has seen can be taken back.
import { isAbsolute, relative, resolve } from 'node:path';
import { z } from 'zod';

/**
 * Where syslog messages go. `tcp` and `tls` use octet counting (RFC 6587 section 3.4.1). UDP is not offered, because
 * nobody could tell which messages it lost.
 */
export type SyslogDestination =
  | { readonly transport: 'unix'; readonly path: string }
  | { readonly transport: 'tcp'; readonly host: string; readonly port: number }
  | { readonly transport: 'tls'; readonly host: string; readonly port: number; readonly ca: string | null };

export type WitnessConfig = { readonly name: string; readonly isRequired: boolean } & (
  | { readonly type: 'file'; readonly directory: string }
  /**
   * A POST hands over a checkpoint, and a GET returns the newest one. `ca` is the path of a PEM file, `token` the path
   * of a file with a bearer token.
   */
  | { readonly type: 'https'; readonly url: string; readonly ca: string | null; readonly token: string | null }
  /** Nothing can be read back from syslog, so such a witness is never required and never compared with. */
  | { readonly type: 'syslog'; readonly destination: SyslogDestination }
);
/**
 * The live forwarding of entries. Under `name`, the gateway stores the position in the record that the forward has
 * reached.
 */
export type ForwardConfig = {
  readonly name: string;
  readonly format: 'rfc5424' | 'cef';
  readonly destination: SyslogDestination;
};
export type LedgerConfig = {
  readonly witnesses: readonly WitnessConfig[];
  readonly forwards: readonly ForwardConfig[];
  readonly archiveDirectory: string;
  /** How many months stay in the database, and after how many months an archive is deleted. */
  readonly onlineMonths: number;
  readonly retentionMonths: number;
  /**
   * The standing verification must report at least this often that the record is good. Null when the installation has
   * no standing verification.
   */
  readonly verifiedWithinHours: number | null;
  /** And so often after a run that read all of it; null: there is none. */
  readonly fullyVerifiedWithinHours: number | null;
};

const absolute = z
  .string()
  .max(4096)
  .refine(isAbsolute, 'must be an absolute path')
  .transform((path) => resolve(path));
const host = z.string().min(1).max(255);
const port = z.number().int().min(1).max(65_535);
const name = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'names are [a-z0-9][a-z0-9._-]{0,63}');
const destination = z.discriminatedUnion(
  'transport',
  [
    z.strictObject({ transport: z.literal('unix'), path: absolute }),
    z.strictObject({ transport: z.literal('tcp'), host, port }),
    z.strictObject({ transport: z.literal('tls'), host, port, ca: absolute.nullable().default(null) }),
  ],
  {
    error:
      'must be unix, tcp or tls; udp loses messages without notice: for a receiver that accepts only UDP, run a relay on this machine',
  },
);

/**
 * A standing verification reads everything at least every so many hours; the runs between read what was sealed since.
 */
export const fullRunHours = 24;
/** A full run is expected to be over after so many hours, unless the configuration says otherwise. */
const fullRunMaxHours = 2;

/**
 * What the database lets go of (`ledger_drop_month`): a month that has been over for a month, so the current one and
 * the one before it stay.
 */
const onlineMonthsMin = 2;

export const ledgerSettings = z.strictObject({
  witnesses: z
    .array(
      z.discriminatedUnion('type', [
        z.strictObject({ type: z.literal('file'), name, directory: absolute, isRequired: z.boolean().default(true) }),
        z.strictObject({
          type: z.literal('https'),
          name,
          url: z.url({ protocol: /^https$/ }),
          ca: absolute.nullable().default(null),
          token: absolute.nullable().default(null),
          isRequired: z.boolean().default(true),
        }),
        z.strictObject({ type: z.literal('syslog'), name, destination, isRequired: z.literal(false).default(false) }),
      ]),
    )
    .min(1)
    .max(8)
    .refine(
      (all) => all.some((one) => one.type !== 'syslog' && one.isRequired),
      'at least one witness must be required and be able to tell what it has',
    )
    .optional(),
  forwards: z
    .array(z.strictObject({ name, format: z.enum(['rfc5424', 'cef']), destination }))
    .max(8)
    .optional(),
  archiveDirectory: absolute.optional(),
  onlineMonths: z.number().int().min(onlineMonthsMin).max(600).optional(),
  retentionMonths: z.number().int().min(onlineMonthsMin).max(600).optional(),
  verifiedWithinHours: z.number().int().min(1).max(8760).nullable().optional(),
  fullyVerifiedWithinHours: z.number().int().min(1).max(8760).optional(),
});

/**
 * Returns the settings with their defaults. Without a setting for witnesses, the witness is a file below the runtime
 * directory. That is better than none, and `doctor` says what is missing.
 */
export function completeLedger(
  runtimeDirectory: string,
  given: z.infer<typeof ledgerSettings> | undefined,
): LedgerConfig {
  const verifiedWithinHours = given?.verifiedWithinHours ?? null;
  return {
    witnesses: given?.witnesses ?? [
      { type: 'file', name: 'local', directory: `${runtimeDirectory}/witness`, isRequired: true },
    ],
    forwards: given?.forwards ?? [],
    archiveDirectory: given?.archiveDirectory ?? `${runtimeDirectory}/archive`,
    onlineMonths: given?.onlineMonths ?? 13,
    retentionMonths: given?.retentionMonths ?? 60,
    verifiedWithinHours,
    fullyVerifiedWithinHours:
      verifiedWithinHours === null
        ? null
        : (given?.fullyVerifiedWithinHours ?? Math.max(verifiedWithinHours, fullRunHours + fullRunMaxHours)),
  };
}

/** Returns whether a path is within a directory, however the two are spelled. A directory is within itself. */
const isWithin = (outer: string, path: string): boolean => relative(outer, path).split('/')[0] !== '..';

/** Returns whether a witness outside this installation must have every checkpoint. */
export const isWitnessedElsewhere = ({ witnesses }: LedgerConfig, runtimeDirectory: string): boolean =>
  witnesses.some(
    (one) =>
      one.isRequired && (one.type === 'https' || (one.type === 'file' && !isWithin(runtimeDirectory, one.directory))),
  );

/** Checks the rules that need more than one value. Returns the faults. */
export function ledgerFaults(
  config: LedgerConfig,
  production: { readonly runtimeDirectory: string } | null,
): readonly string[] {
  const faults: string[] = [];
  if (production !== null && !isWitnessedElsewhere(config, production.runtimeDirectory))
    faults.push(
      'ledger.witnesses: production needs a required witness outside the runtime directory: a directory on another mount, or https',
    );
  for (const list of [config.witnesses, config.forwards]) {
    const names = list.map((one) => one.name);
    for (const twice of names.filter((one, i) => names.indexOf(one) !== i))
      faults.push(`ledger: two are named ${twice}`);
  }
  const { verifiedWithinHours: any, fullyVerifiedWithinHours: full } = config;
  if (any !== null && full !== null && full < any)
    faults.push('ledger.fullyVerifiedWithinHours: shorter than ledger.verifiedWithinHours, and a full run is a run');
  if (config.retentionMonths < config.onlineMonths)
    faults.push('ledger.retentionMonths: shorter than ledger.onlineMonths');
  return faults;
}
