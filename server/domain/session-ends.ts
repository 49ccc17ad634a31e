// Owns: the reasons for which a session ends, each with the text that its client reads in SSH_MSG_DISCONNECT (RFC 4253
// section 11.1).
// Must never: have one text for two reasons. A person who reads "no activity" looks at the network; a person who reads
// "by an operator" makes a telephone call.

export const sessionEnds = {
  // Reasons that the edge gives, because it sees the connection.
  'client-closed': 'closed',
  'connection-lost': 'connection lost',
  'protocol-error': 'protocol error',
  drained: 'this server is stopping or restarting; connect again',
  // Reasons that the warden gives, each by a rule of its own. The edge may give `expired`, too.
  idle: 'no activity for too long (idle): no request, no keep-alive and no byte came from your client; connect again',
  expired: 'the session reached its maximum duration; connect again',
  lost: 'this server lost the session; connect again',
  operator: 'the session was ended by an operator',
  account: 'the account of this session was locked or changed; connect again',
  customer: 'access was suspended or changed; connect again',
  credential: 'the credential of this session is no longer valid',
  window: 'the activation window of this session is over',
  enrolment: 'another ticket was issued; this one is no longer valid',
  limit: 'a limit was reached; the session was ended',
  doubt: 'the rights of this session could not be confirmed; connect again',
} as const;
export type SessionEnd = keyof typeof sessionEnds;
export const sessionEndNames = Object.keys(sessionEnds) as readonly SessionEnd[];

/** The reasons that an edge may give for a session that it ended itself. */
export const edgeEnds = [
  'client-closed',
  'connection-lost',
  'protocol-error',
  'drained',
  'expired',
] as const satisfies readonly SessionEnd[];
export type EdgeEnd = (typeof edgeEnds)[number];
