// Owns: how an end is said: what the client reads, and what the warden hears of it.
import { type EdgeEnd, edgeEnds, type SessionEnd, sessionEnds } from '../../domain/session-ends.ts';

export type EndReason = SessionEnd | 'too-many-sessions';

export const endText = (reason: EndReason): string =>
  reason === 'too-many-sessions' ? 'too many sessions of this account at once; close one first' : sessionEnds[reason];

/** What the warden hears. A connection that never became a session has nothing to end, and what the warden ended itself it knows. */
export const sessionEnd = (reason: EndReason): EdgeEnd => edgeEnds.find((one) => one === reason) ?? 'protocol-error';

/** Reason codes of SSH_MSG_DISCONNECT, RFC 4253 section 11.1: by application, or too many connections. */
export const endCode = (reason: EndReason): number => (reason === 'too-many-sessions' ? 12 : 11);
