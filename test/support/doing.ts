// Owns: what a use case of operators receives, for tests without a running warden.
import { randomUUID } from 'node:crypto';
import type { Transaction } from '../../server/postgres/database.ts';
import type { Doing } from '../../server/warden/commands/doing.ts';
import type { Warden } from '../../server/warden/context/context.ts';

/**
 * `change` is the change that two operators agreed on, or null for one operator alone. Without `more`, what would
 * become wider is told to nobody, and no session is ended.
 */
export const doingOf = (
  warden: Warden,
  tx: Transaction,
  change: string | null,
  more: Partial<Pick<Doing, 'widen' | 'endSessions'>> = {},
): Doing => ({
  tx,
  warden,
  operator: change === null ? 'alice' : 'alice, approved by bob',
  operatorId: randomUUID(),
  change,
  widen: () => {},
  endSessions: async () => 0,
  savepoint: (one) => one(),
  ...more,
});
