// Owns: the reasons for which the edge ends a connection at once, as the log shows them. The list
// is closed, and shorter than the number of subjects that the log distinguishes in a minute (T-34).
// Must never: contain text that the other side chose. The number of a message and
// the text of an error are log fields of their own, and no part of the reason.

export const failReasons = [
  // Reasons that occur in every state of a connection.
  'no identification in time',
  'no key exchange in time',
  'no new keys in time',
  'login took too long',
  'its place was needed for somebody from elsewhere',
  'what came is no message of the protocol',
  'what is to be sent cannot be',
  'the key exchange failed',
  'key exchange not allowed now',
  'a message out of turn',
  'too much waits for new keys',
  'the client does not read',
  'internal error',
  // Reasons that occur before a login.
  'too many messages before login',
  'unknown service',
  'too many login messages at once',
  'answers that nobody asked for',
  'the user name changed during login',
  'an answer without a question',
  'the login failed',
  'too many login attempts',
  // Reasons that occur in a session.
  'too many requests that nobody serves',
  'extended data from a client',
  'short channel message',
  'unknown channel',
  'channel data of the wrong length',
  'window overflow',
  'more data than the window allows',
  'what came is no SFTP',
] as const;
export type FailReason = (typeof failReasons)[number];

/** What a log line shows besides the reason. */
export type FailDetail = { readonly messageType?: number | undefined; readonly detail?: string };
const detailCharsMax = 200;

/** Returns the message of an error, of ours or of a library, cut to `detailCharsMax` characters. */
export const detailOf = (thrown: unknown): FailDetail => ({
  detail: (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, detailCharsMax),
});
