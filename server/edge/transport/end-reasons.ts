// Owns: how the end of a connection is reported: the code and the words of SSH_MSG_DISCONNECT (RFC 4253 section 11.1),
// and the reason for the warden.
// Must never: say what the client sent, or whether a name or a key is known.
import { type EdgeEnd, edgeEnds, type SessionEnd, sessionEnds } from '../../domain/session-ends.ts';
import type { FailReason } from '../seam/fail-reasons.ts';

export type EndReason = SessionEnd | 'too-many-sessions';
/** What a client is told when its connection ends. */
export type Goodbye = { readonly code: number; readonly text: string };

/** The codes of the RFC. */
const code = { protocolError: 2, keyExchangeFailed: 3, byApplication: 11, tooManyConnections: 12, noMoreMethods: 14 };

export const goodbyeOf = (reason: EndReason): Goodbye =>
  reason === 'too-many-sessions'
    ? { code: code.tooManyConnections, text: 'too many sessions of this account at once; close one first' }
    : { code: code.byApplication, text: sessionEnds[reason] };

/**
 * Returns the reason that is reported to the warden. A reason that an edge may not report becomes `protocol-error`: the
 * warden already knows the sessions that it ended itself, and after `too-many-sessions` there is no session to report.
 */
export const sessionEnd = (reason: EndReason): EdgeEnd => edgeEnds.find((one) => one === reason) ?? 'protocol-error';

const byUs = (text: string): Goodbye => ({ code: code.byApplication, text });
const full = (text: string): Goodbye => ({ code: code.tooManyConnections, text });
const noMore = (text: string): Goodbye => ({ code: code.noMoreMethods, text });
const slow = 'connect again when you are ready';

/** The words for what is no mistake of a program. For everything else, the reason itself says what was wrong. */
const failWords: Readonly<Partial<Record<FailReason, Goodbye>>> = {
  'no identification in time': byUs('your client did not say in time which version of SSH it has'),
  'no key exchange in time': byUs('the key exchange took too long; connect again'),
  'no new keys in time': byUs('the exchange of new keys took too long; connect again'),
  'the host key was not accepted in time': byUs(`the key of this server was not accepted in time; ${slow}`),
  'login took too long': byUs(`the login took too long; ${slow}`),
  'its place was given to a connection from another network': full(
    'too many connections from your network have not logged in; connect again',
  ),
  'its place was given to a newer connection': full('too many connections have not logged in; connect again'),
  'the key exchange failed': { code: code.keyExchangeFailed, text: 'the key exchange failed; connect again' },
  'internal error': byUs('an error of this server; connect again'),
  'unexpected answer from the warden': byUs('an error of this server; connect again'),
  'the login failed': byUs('this server cannot decide about your login now; connect again later'),
  'too many login attempts': noMore('too many login attempts; connect again'),
  'too many keys were tried': noMore(
    'too many keys were tried; name one: -i FILE, and IdentitiesOnly=yes where an agent has several',
  ),
  'too many channels in a short time': full(
    'too many channels in a short time; connect again, and use a channel for more than one file',
  ),
};

/** Returns what a client is told when its connection fails for this reason. */
export const goodbyeOfFail = (reason: FailReason): Goodbye =>
  failWords[reason] ?? { code: code.protocolError, text: `protocol error: ${reason}` };

/** Returns what a client is told with which this server has nothing in common. */
export const goodbyeOfNothing = (text: string): Goodbye => ({ code: code.keyExchangeFailed, text });
/** Returns what a client is told that is not let in at all. */
export const goodbyeAtTheDoor = (text: string): Goodbye => full(text);
