// Owns: the sums of an answer, for each customer and for all, updated as its rows pass.
import { addWhole } from '../../domain/whole-numbers.ts';
import type { IncidentRow, IncidentSummary } from '../../rpc/operators/incident.ts';

type CustomerSum = { -readonly [K in keyof IncidentRow<'customers'>]: IncidentRow<'customers'>[K] };
type AllSums = Omit<
  IncidentSummary['totals'],
  'sessions' | 'actions' | 'refusedLogins' | 'partialLogins' | 'refusedSessions' | 'strangerLogins'
>;
type Whose = { readonly customer: string | null; readonly customerId: string | null };

const zeros = {
  certain: 0,
  possible: 0,
  unsent: 0,
  releasedBytes: 0,
  sentBytes: 0,
  names: 0,
  deposits: 0,
  depositBytes: 0,
  unread: 0,
  unreadBytes: 0,
  failedLogins: 0,
  entries: 0,
} as const;
const failures: ReadonlySet<string> = new Set(['login.refused', 'login.partial', 'session.refused']);

export class Totals {
  readonly #customers = new Map<string | null, CustomerSum>();
  /** The number of entries that belong to no customer. */
  #ofNobody = 0;
  #unknownVersions = 0;
  #differing = 0;
  /** The number of entries that state a count in a form in which no warden writes one. */
  #odd = 0;

  #of({ customer, customerId }: Whose): CustomerSum {
    const found = this.#customers.get(customerId);
    if (found !== undefined) return found;
    const fresh: CustomerSum = { customer, customerId, ...zeros };
    this.#customers.set(customerId, fresh);
    return fresh;
  }

  addFile(row: IncidentRow<'files'>): void {
    const sum = this.#of(row);
    sum[row.certainty] += 1;
    sum.releasedBytes = addWhole(sum.releasedBytes, row.releasedBytes);
    sum.sentBytes = addWhole(sum.sentBytes, row.sentBytes);
    if (row.state === null) this.#unknownVersions += 1;
    if (row.differs.length > 0) this.#differing += 1;
  }

  addNames(row: Whose & { readonly names: number }): void {
    const sum = this.#of(row);
    sum.names = addWhole(sum.names, row.names);
  }

  addDeposit(row: Whose & { readonly size: number | null }): void {
    const sum = this.#of(row);
    sum.deposits += 1;
    sum.depositBytes = addWhole(sum.depositBytes, row.size ?? 0);
  }

  addUnread(customer: string | null, customerId: string, files: number, bytes: number): void {
    const sum = this.#of({ customer, customerId });
    sum.unread += files;
    sum.unreadBytes = addWhole(sum.unreadBytes, bytes);
  }

  addEntries(row: Whose & { readonly entries: number; readonly odd?: number }): void {
    this.#odd = addWhole(this.#odd, row.odd ?? 0);
    if (row.customerId === null) this.#ofNobody = addWhole(this.#ofNobody, row.entries);
    else {
      const sum = this.#of(row);
      sum.entries = addWhole(sum.entries, row.entries);
    }
  }

  addTrace(row: IncidentRow<'traces'>): void {
    this.addEntries({ ...row, entries: 1 });
    if (row.customerId !== null && failures.has(row.kind)) this.#of(row).failedLogins += 1;
  }

  /** Returns the sums of each customer, the most affected customer first. */
  rows(): readonly IncidentRow<'customers'>[] {
    const weight = (one: CustomerSum): number => one.certain + one.possible + one.unsent;
    return [...this.#customers.values()].sort(
      (a, b) => weight(b) - weight(a) || b.deposits - a.deposits || (a.customer ?? '').localeCompare(b.customer ?? ''),
    );
  }

  all(): AllSums {
    const sums = { ...zeros } as { -readonly [K in keyof typeof zeros]: number };
    for (const row of this.#customers.values())
      for (const name of Object.keys(zeros) as (keyof typeof zeros)[]) sums[name] = addWhole(sums[name], row[name]);
    const customers = [...this.#customers.values()].filter((one) => one.certain + one.possible + one.unsent > 0).length;
    return {
      customers,
      ...sums,
      entries: addWhole(sums.entries, this.#ofNobody),
      unknownVersions: this.#unknownVersions,
      differing: this.#differing,
      oddEntries: this.#odd,
    };
  }
}
