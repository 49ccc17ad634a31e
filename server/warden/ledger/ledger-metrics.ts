// Owns: the metrics of a warden about the record.
// Must never: contain anything but numbers.
import type { Reading } from '../../observability/metrics.ts';
import type { Look } from './seal-queries.ts';

type Facts = {
  readonly isOpen: boolean;
  readonly isLeading: boolean;
  /** The number of entries that this process has sealed since it started. */
  readonly sealed: number;
  /** The newest look at the record, or undefined when there was none yet. */
  readonly seen: Look | undefined;
};

export function readingsOf({ isOpen, isLeading, sealed, seen }: Facts): readonly Reading[] {
  const gauge = (name: string, help: string, value: number): Reading => ({ name, help, kind: 'gauge', value });
  return [
    gauge('ledger_open', 'Whether the state of the record lets anything be served.', isOpen ? 1 : 0),
    gauge('ledger_leads', 'Whether this warden seals.', isLeading ? 1 : 0),
    gauge('ledger_unsealed_seconds', 'Age of the oldest entry without a seal.', (seen?.unsealedMs ?? 0) / 1000),
    gauge('ledger_unsealed_entries', 'Entries without a seal.', seen?.unsealed ?? 0),
    gauge(
      'ledger_unwitnessed_seconds',
      'Age of the oldest checkpoint that no witness has.',
      (seen?.unwitnessedMs ?? 0) / 1000,
    ),
    gauge('ledger_entries', 'Entries sealed so far.', seen?.number ?? 0),
    { name: 'ledger_sealed_total', help: 'Entries sealed by this process.', kind: 'counter', value: sealed },
  ];
}
