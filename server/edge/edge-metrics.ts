// Owns: what is measured of one edge.
import type { Reading } from '../observability/metrics.ts';
import type { Admission } from './accept/admission.ts';
import type { Clients } from './clients.ts';
import type { BufferReserve } from './transport/buffer-reserve.ts';

type Measured = {
  readonly clients: Clients;
  readonly admission: Admission;
  readonly reserve: BufferReserve;
  readonly warden: { readonly isLeaseLive: boolean };
};

const connectionReadings = (clients: Clients): readonly Reading[] => [
  { name: 'edge_connections', help: 'Open connections.', kind: 'gauge', value: clients.open.size },
  {
    name: 'edge_sessions',
    help: 'Logged-in connections.',
    kind: 'gauge',
    value: [...clients.open].filter((one) => one.session !== undefined).length,
  },
  {
    name: 'edge_transferring',
    help: 'Connections with an open channel.',
    kind: 'gauge',
    value: [...clients.open].filter((one) => one.isTransferring).length,
  },
];

const admissionReadings = (admission: Admission): readonly Reading[] => [
  { name: 'edge_accepted_total', help: 'Connections accepted.', kind: 'counter', value: admission.verdicts.admitted },
  ...Object.entries(admission.verdicts)
    .filter(([verdict]) => verdict !== 'admitted')
    .map(([verdict, value]) => ({
      name: `edge_turned_away_${verdict.replaceAll('-', '_')}_total`,
      help: 'Connections refused before the SSH handshake.',
      kind: 'counter' as const,
      value,
    })),
  {
    name: 'edge_evicted_total',
    help: 'Connections without a login that were ended in favour of others.',
    kind: 'counter',
    value: admission.evicted,
  },
  { name: 'edge_strangers', help: 'Connections that have not logged in.', kind: 'gauge', value: admission.strangers },
];

export const edgeReadings = ({ clients, admission, reserve, warden }: Measured): readonly Reading[] => [
  ...connectionReadings(clients),
  ...admissionReadings(admission),
  {
    name: 'edge_window_bytes',
    help: 'Bytes of granted receive windows.',
    kind: 'gauge',
    value: reserve.totals.windows,
  },
  {
    name: 'edge_socket_bytes',
    help: 'Bytes of the memory into which sockets are read.',
    kind: 'gauge',
    value: reserve.socketBytes,
  },
  {
    name: 'edge_early_bytes',
    help: 'Bytes of writes received ahead of their offset.',
    kind: 'gauge',
    value: reserve.totals.early,
  },
  {
    name: 'edge_reply_bytes',
    help: 'Bytes of replies under way or unsent.',
    kind: 'gauge',
    value: reserve.totals.replies,
  },
  {
    name: 'edge_upload_bytes',
    help: 'Bytes of segments on their way into the store.',
    kind: 'gauge',
    value: reserve.totals.uploads,
  },
  {
    name: 'edge_segment_bytes',
    help: 'Bytes of decrypted segments kept in memory.',
    kind: 'gauge',
    value: reserve.totals.segments,
  },
  {
    name: 'edge_penalised_sources',
    help: 'Sources with a running penalty.',
    kind: 'gauge',
    value: admission.penalised,
  },
  {
    name: 'edge_lease_live',
    help: '1 while the warden renews the lease.',
    kind: 'gauge',
    value: warden.isLeaseLive ? 1 : 0,
  },
];
