// Owns: why a connection ended, and what its client is told.

export type EndReason =
  | 'client-closed'
  | 'connection-lost'
  | 'idle'
  | 'expired'
  | 'protocol-error'
  | 'drained'
  | 'revoked'
  | 'too-many-sessions';

export const endTexts: Readonly<Record<EndReason, string>> = {
  'client-closed': 'closed',
  'connection-lost': 'connection lost',
  idle: 'no activity for too long',
  expired: 'the session reached its longest life; connect again',
  'protocol-error': 'protocol error',
  drained: 'the service moves, connect again',
  revoked: 'the session was ended by the operator',
  'too-many-sessions': 'too many sessions of this account at once; close one first',
};

/** What the warden hears: a connection that never became a session has nothing to end. */
export const sessionEnd = (reason: EndReason): Exclude<EndReason, 'too-many-sessions'> =>
  reason === 'too-many-sessions' ? 'protocol-error' : reason;

/** Reason codes of SSH_MSG_DISCONNECT, RFC 4253 section 11.1: by application, or too many connections. */
export const endCode = (reason: EndReason): number => (reason === 'too-many-sessions' ? 12 : 11);
