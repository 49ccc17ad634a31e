// Owns: the SQL of commands that are too old to be begun, and of answered commands that are no longer kept.
import { commandLife } from '../../domain/command-life.ts';
import type { Transaction } from '../../postgres/database.ts';

type Expired = { readonly id: string; readonly operator: string };

/**
 * Answers up to `limit` commands in one statement that are too old to be begun, or whose time of asking lies in the
 * future. Commands that another transaction has locked are skipped. `textOf` gives the answers of commands about which
 * more is known than `text`.
 */
export async function failExpired(
  tx: Transaction,
  limit: number,
  text: string,
  textOf: ReadonlyMap<string, string>,
): Promise<readonly Expired[]> {
  const rows = await tx.query<{ id: string; operator_id: string }>(
    `with late as (
       select id from command where state = 'new'
         and (created_at < clock_timestamp() - $2::float8 * interval '1 millisecond' or created_at > clock_timestamp() + interval '1 second')
       order by created_at limit $1 for update skip locked)
     update command c set state = 'failed', error_code = 'unavailable', error_text = coalesce(($5::text[])[array_position($4::uuid[], c.id)], $3),
       finished_at = clock_timestamp()
     from late where c.id = late.id returning c.id, c.operator_id`,
    [limit, commandLife.beginMs, text, [...textOf.keys()], [...textOf.values()]],
  );
  if (rows.length === 0) return [];
  const names = await tx.query<{ id: string; name: string }>('select id, name from operator where id = any ($1)', [
    [...new Set(rows.map((row) => row.operator_id))],
  ]);
  const nameOf = new Map(names.map(({ id, name }) => [id, name]));
  return rows.map((row) => ({ id: row.id, operator: nameOf.get(row.operator_id) ?? row.operator_id }));
}

/** Deletes answered commands that are no longer kept (`commandsKept`). Returns how many were deleted. */
export async function deleteAnswered(tx: Transaction, limit: number): Promise<number> {
  const [row] = await tx.query<{ n: number }>('select forget_commands($1) as n', [limit]);
  return row?.n ?? 0;
}
