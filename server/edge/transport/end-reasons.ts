// Owns: why a connection ended, and what its client is told.

export type EndReason = 'client-closed' | 'connection-lost' | 'idle' | 'expired' | 'protocol-error' | 'drained' | 'revoked';

export const endTexts: Readonly<Record<EndReason, string>> = {
  'client-closed': 'closed',
  'connection-lost': 'connection lost',
  idle: 'no activity for too long',
  expired: 'the session reached its longest life; connect again',
  'protocol-error': 'protocol error',
  drained: 'this server is going down for maintenance; connect again',
  revoked: 'the session was ended by the operator',
};
