// Owns: how the end of a connection is reported: the text for the client, and the reason for the warden.
import { type EdgeEnd, edgeEnds, type SessionEnd, sessionEnds } from '../../domain/session-ends.ts';

export type EndReason = SessionEnd | 'too-many-sessions';

export const endText = (reason: EndReason): string =>
  reason === 'too-many-sessions' ? 'too many sessions of this account at once; close one first' : sessionEnds[reason];

/**
 * Returns the reason that is reported to the warden. A reason that an edge may not report becomes `protocol-error`: the
 * warden already knows the sessions that it ended itself, and after `too-many-sessions` there is no session to report.
 */
export const sessionEnd = (reason: EndReason): EdgeEnd => edgeEnds.find((one) => one === reason) ?? 'protocol-error';

/**
 * Returns the reason code of SSH_MSG_DISCONNECT (RFC 4253 section 11.1): 12 is too many connections, 11 is by
 * application.
 */
export const endCode = (reason: EndReason): number => (reason === 'too-many-sessions' ? 12 : 11);
