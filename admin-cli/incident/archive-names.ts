// Owns: the names of the ids in archived entries. Each name is asked for once.
import { namesPerCallMax } from '../../server/rpc/operators/incident.ts';
import type { Client } from '../connection/client.ts';

export type Names = {
  /** Returns the ids of accounts by name. An account that does not exist is left out. */
  accountIds(names: Iterable<string>): Promise<ReadonlyMap<string, string>>;
  /** Asks for the names that are not known yet. */
  learn(accounts: Iterable<string>, customers: Iterable<string>): Promise<void>;
  /** Returns the names in alphabetical order. An id that the gateway does not know has no name and is left out. */
  ofAccounts(ids: Iterable<string>): readonly string[];
  ofCustomers(ids: Iterable<string>): readonly string[];
};

function* batches(all: Iterable<string>): Generator<string[]> {
  const list = [...new Set(all)];
  for (let start = 0; start < list.length; start += namesPerCallMax) yield list.slice(start, start + namesPerCallMax);
}

export function namesFrom(client: Pick<Client, 'call'>): Names {
  // The value is null when the name was asked for and does not exist.
  const [accounts, customers] = [new Map<string, string | null>(), new Map<string, string | null>()];
  const shown = (known: ReadonlyMap<string, string | null>, ids: Iterable<string>): readonly string[] =>
    [...ids].flatMap((id) => known.get(id) ?? []).sort();
  const unknown = (known: ReadonlyMap<string, string | null>, ids: Iterable<string>): readonly string[] =>
    [...ids].filter((id) => !known.has(id));
  return {
    accountIds: async (names) => {
      const found = new Map<string, string>();
      for (const accountNames of batches(names)) {
        const answer = await client.call('incident.names', { accounts: [], customers: [], accountNames });
        for (const { id, name } of answer.accounts) found.set(name, id);
      }
      return found;
    },
    learn: async (accountIds, customerIds) => {
      for (const ids of batches(unknown(accounts, accountIds))) {
        const answer = await client.call('incident.names', { accounts: ids, customers: [], accountNames: [] });
        for (const id of ids) accounts.set(id, answer.accounts.find((one) => one.id === id)?.name ?? null);
      }
      for (const ids of batches(unknown(customers, customerIds))) {
        const answer = await client.call('incident.names', { accounts: [], customers: ids, accountNames: [] });
        for (const id of ids) customers.set(id, answer.customers.find((one) => one.id === id)?.name ?? null);
      }
    },
    ofAccounts: (ids) => shown(accounts, ids),
    ofCustomers: (ids) => shown(customers, ids),
  };
}
