// Owns: verifying a slice on the operator's side before anybody is told anything by it: with the code of the
// stand-alone verifier, for the window that was asked for; and the customer's name, as its own record states it.
// Must never: let a slice pass that a customer could not verify, or take a name from the catalogue when the record has
// one.
import { existsSync } from 'node:fs';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { IncidentSummary } from '../../server/rpc/operators/incident.ts';
import {
  fromBase64,
  fromHex,
  leafOfShown,
  parseShown,
  parseVerifierKey,
  type SliceReport,
  verifyAuditPath,
  verifySlice,
} from '../../verifier/index.js';
import type { Client } from '../connection/client.ts';
import { keysOf, witnessesOf } from '../ledger/witness.ts';
import type { Given, Option } from '../verb/verb.ts';
import { wholeOption } from './limits.ts';

export const checkOptions: readonly Option[] = [
  {
    name: 'witness',
    value: 'DIR[,DIR]',
    help: "checks the slices against these checkpoints, too (default: witness/ beside the admin socket's run/)",
  },
  {
    name: 'key',
    value: 'VKEY|FILE',
    help: 'verifier key, or a file with one on each line (default: what the gateway itself says)',
  },
  {
    name: 'found-nothing',
    value: null,
    help: 'goes on although the selection found nothing at all, and the letters say so',
  },
  wholeOption,
];

/** With what slices are checked, and for which window. */
export type Checking = {
  readonly keys: readonly string[];
  readonly witnesses: readonly string[];
  readonly window: IncidentSummary['window'];
};

/**
 * Throws `not-found` for an answer that found nothing, unless it was said that this is meant: it would assure
 * everybody.
 */
export function requireFound({ isEmpty, unknown }: IncidentSummary, given: Given): void {
  if (!isEmpty || given.options['found-nothing'] !== undefined) return;
  const why = unknown.length === 0 ? '' : `: the record knows no ${unknown.join(', no ')}`;
  throw new CofferdamError(
    'not-found',
    `the selection found nothing at all, no session, no failed login, no action${why}. By it nobody can be told anything; when you mean it, say --found-nothing, and the letters will say it`,
  );
}

export async function checkingOf(client: Client, given: Given, { window }: IncidentSummary): Promise<Checking> {
  const named = given.options.witness;
  const witnesses =
    named !== undefined ? witnessesOf(named) : existsSync(given.paths.witness) ? [given.paths.witness] : [];
  const { verifierKeys } = await client.call('ledger.status', {});
  return { keys: given.options.key === undefined ? verifierKeys : keysOf(given.options.key), witnesses, window };
}

/** Says against what the slices were verified. */
export const witnessText = ({ witnesses }: Checking): string =>
  witnesses.length === 0
    ? 'The slices were verified by their signatures alone, and compared with no witness: name one with --witness.\n'
    : `The slices were verified, and compared with ${witnesses.length === 1 ? 'the witness' : `${witnesses.length} witnesses`}.\n`;

const micros = (instant: string): number => Date.parse(instant) * 1000;

/**
 * Verifies the slice in the file. Throws `corrupt` when it is not what was sealed, not of this customer, or not of the
 * window. What an abandoned era lost of the window is in the report.
 */
export async function checkSlice(
  path: string,
  customerId: string,
  { keys, witnesses, window }: Checking,
): Promise<SliceReport> {
  const report = await verifySlice({
    keys: keys.map(parseVerifierKey),
    witnesses,
    slice: path,
    since: window.since === null ? undefined : micros(window.since),
    until: micros(window.until),
  });
  const [first] = report.findings;
  const isEverything = window.since !== null || report.from === null;
  if (report.verdict !== 'bad' && report.tree === customerId && isEverything) return report;
  const why =
    first?.text ??
    (report.tree === customerId ? 'it does not begin with the first entry' : `it is of customer ${report.tree}`);
  throw new CofferdamError(
    'corrupt',
    `the slice of customer ${customerId} does not verify: ${why}. Give nobody anything of this; see \`cofferctl ledger verify\` and verify the record from another machine`,
  );
}

/** Where a tree stands by a slice that was verified. */
export type TreeSize = { readonly size: number; readonly root: string };

/** The name of a customer; and the one before it, when the customer was renamed, until that instant. */
export type ProvedName = { readonly name: string; readonly before?: { readonly name: string; readonly until: string } };

const namingKinds: readonly unknown[] = ['customer.created', 'customer.renamed'];

/**
 * Returns the name of a customer as the sealed entry states it by which it was created or renamed last, or undefined
 * when that entry cannot be proved from the gateway. Throws `corrupt` when what the gateway shows is not in the
 * customer's tree.
 */
export async function provedName(
  client: Client,
  customerId: string,
  { size, root }: TreeSize,
): Promise<ProvedName | undefined> {
  const { proof } = await client.call('incident.named-by', { customerId, size });
  if (proof === null) return undefined;
  const row = parseShown(proof.shown);
  const [salt, sensitive, treeRoot] = [fromHex(proof.salt, 16), fromHex(proof.sensitive, 32), fromBase64(root, 32)];
  const path = proof.path.map((one) => fromBase64(one, 32)).filter((one) => one !== undefined);
  const isInTree =
    row !== undefined &&
    salt !== undefined &&
    sensitive !== undefined &&
    treeRoot !== undefined &&
    path.length === proof.path.length &&
    row[0] === customerId &&
    namingKinds.includes(row[3]) &&
    verifyAuditPath(leafOfShown(row, salt, sensitive), Number(row[1]), size, path, treeRoot);
  const fields: unknown = isInTree ? JSON.parse(String(row[14])) : undefined;
  if (typeof fields === 'object' && fields !== null && 'name' in fields && typeof fields.name === 'string') {
    const { name } = fields;
    const was = 'was' in fields && typeof fields.was === 'string' ? fields.was : undefined;
    return was === undefined
      ? { name }
      : { name, before: { name: was, until: new Date(Number(row?.[2]) / 1000).toISOString() } };
  }
  throw new CofferdamError(
    'corrupt',
    `the gateway names customer ${customerId} by an entry that is not in its record. Give nobody anything of this`,
  );
}
