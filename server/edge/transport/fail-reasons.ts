// Owns: why the edge ends a connection at once, as the log says it: a closed list, shorter than the subjects that the log tells apart in a minute (T-34).
// Must never: hold what the other side chose. The number of a message and the words of an error are fields of their own, and no part of the subject.

export const failReasons = [
  // Of everybody.
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
  // Before a login.
  'too many messages before login',
  'unknown service',
  'too many login messages at once',
  'answers that nobody asked for',
  'the user name changed during login',
  'an answer without a question',
  'the login failed',
  'too many login attempts',
  // Of sessions.
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

/** What a line says beside its reason. */
export type FailDetail = { readonly messageType?: number | undefined; readonly detail?: string };
const detailCharsMax = 200;

/** The words of an error: of ours, or of a library. */
export const detailOf = (thrown: unknown): FailDetail => ({
  detail: (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, detailCharsMax),
});
