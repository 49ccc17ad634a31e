// Owns: the SQL of operators and their commands, as the admin process's database role may run it.
import { CofferdamError } from '../../domain/errors.ts';
import { unclassified } from '../../domain/ledger/entry-kinds.ts';
import type { Transaction } from '../../postgres/database.ts';
import { sqlState } from '../../postgres/database-errors.ts';
import { insertEntry } from '../../postgres/entry-queries.ts';

export type Operator = { readonly id: string; readonly name: string; readonly role: string };

/** Returns the active operator to whom a key in use belongs, or undefined. */
export async function findOperator(tx: Transaction, keyFingerprint: string): Promise<Operator | undefined> {
  const [row] = await tx.query<Operator>(
    "select o.id, o.name, o.role from operator o join operator_key k on k.operator_id = o.id where k.fingerprint = $1 and k.ended_at is null and o.state = 'active'",
    [keyFingerprint],
  );
  return row;
}

export async function findOperatorByName(tx: Transaction, name: string): Promise<Operator | undefined> {
  const [row] = await tx.query<Operator>("select id, name, role from operator where name = $1 and state = 'active'", [
    name,
  ]);
  return row;
}

/** SQLSTATE `program_limit_exceeded`, raised by the trigger `command_room` when too many commands wait. */
const noRoom = '54000';

/** Inserts a command. Throws `over-limit` when too many commands wait, of this operator or of all operators. */
export async function insertCommand(
  tx: Transaction,
  id: string,
  operator: string,
  operation: string,
  params: unknown,
): Promise<void> {
  const values = [id, operator, operation, JSON.stringify(params)];
  await tx
    .query('insert into command (id, operator_id, operation, params) values ($1, $2, $3, $4)', values)
    .catch((cause: unknown) => {
      if (sqlState(cause) !== noRoom) throw cause;
      throw new CofferdamError(
        'over-limit',
        'too many commands wait for the warden already. Nothing was asked; try again in a moment',
        {
          cause,
        },
      );
    });
}

export type CommandAnswer = {
  readonly state: string;
  readonly result: unknown;
  readonly errorCode: string | null;
  readonly errorText: string | null;
};

/** Returns the warden's answer to a command, or undefined while there is none. */
export async function findAnswer(tx: Transaction, id: string): Promise<CommandAnswer | undefined> {
  const [row] = await tx.query<{
    state: string;
    result: unknown;
    error_code: string | null;
    error_text: string | null;
  }>("select state, result, error_code, error_text from command where id = $1 and state <> 'new'", [id]);
  return row && { state: row.state, result: row.result, errorCode: row.error_code, errorText: row.error_text };
}

/** Writes the entry before or after a call. The parameters are a sensitive field. */
export async function recordCall(
  tx: Transaction,
  kind: 'operator.asked' | 'operator.answered',
  sensitive: Readonly<Record<string, unknown>> & { readonly operator: string },
): Promise<void> {
  const fault = unclassified(kind, { public: {}, sensitive });
  if (fault !== undefined) throw new CofferdamError('bug', fault);
  await insertEntry(
    tx,
    ['kind', 'observer', 'operator', 'sensitive'],
    [kind, 'admin', sensitive.operator, JSON.stringify(sensitive)],
  );
}

/** Writes the entry that one of this process is missed: whoever owns the database can delete an alert. */
export async function recordMissed(tx: Transaction, entry: number, kind: string, is: string): Promise<void> {
  await insertEntry(
    tx,
    ['kind', 'observer', 'sensitive'],
    ['ledger.entry-missed', 'admin', JSON.stringify({ entry, kind, is })],
  );
}

/**
 * Raises the critical alert that an entry of this process is missing, was changed, was not written as it was sent, or
 * is not sealed for too long; or (`altered`) that a proof found sealed entries to be other than what was signed: `kind`
 * then says what does not fit, and `id` is the number of the entry, or 0. It is the only alert that the database role
 * of the admin process can raise.
 */
export async function missEntry(
  tx: Transaction,
  id: number,
  kind: string,
  is: 'gone' | 'changed' | 'refused' | 'late' | 'altered',
): Promise<void> {
  await tx.query('select miss_entry_of_admin($1, $2, $3)', [id, kind, is]);
}
