// Owns: the reasons for which the edge ends a connection at once, as the log shows them. The list
// is closed, and shorter than the number of subjects that the log distinguishes in a minute (T-34).
// Must never: contain text that the other side chose. The number of a message and
// the text of an error are log fields of their own, and no part of the reason.

export const failReasons = [
  // Reasons that occur in every state of a connection.
  'no identification in time',
  'no key exchange in time',
  'no new keys in time',
  'the host key was not accepted in time',
  'login took too long',
  'its place was given to a connection from another network',
  'its place was given to a newer connection',
  'invalid SSH message',
  'an outgoing message could not be sent',
  'the key exchange failed',
  'key exchange too early or too often',
  'unexpected message in this state',
  'too many packets wait for new keys',
  'the client does not read',
  'internal error',
  // Reasons that occur before a login.
  'too many messages before login',
  'unknown service',
  'too many login messages at once',
  'answers without a prompt',
  'the user name changed during login',
  'unexpected answer from the warden',
  'the login failed',
  'too many login attempts',
  'too many keys were tried',
  // Reasons that occur in a session.
  'too many unsupported requests',
  'too many channels in a short time',
  'extended data from a client',
  'short channel message',
  'unknown channel',
  'channel data of the wrong length',
  'window overflow',
  'more data than the window allows',
  'invalid SFTP packet',
] as const;
export type FailReason = (typeof failReasons)[number];

/** What a log line shows besides the reason. */
export type FailDetail = { readonly messageType?: number | undefined; readonly detail?: string };
const detailCharsMax = 200;

/** Returns the message of an error, of ours or of a library, cut to `detailCharsMax` characters. */
export const detailOf = (thrown: unknown): FailDetail => ({
  detail: (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, detailCharsMax),
});
