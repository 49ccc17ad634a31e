// Owns: the bounds of one connection that no configuration changes.

export const bounds = {
  preLoginMessagesMax: 200,
  /** After so many messages of one connection others have their turn; at full speed that is every 16 MiB. */
  messagesPerTurnMax: 512,
  /** Requests that are only ever refused: keep-alives are a few a minute. */
  refusalsMax: 200,
  refusalsWindowMs: 10_000,
  /** SSH_DISCONNECT_KEY_EXCHANGE_FAILED (RFC 4253 section 11.1). */
  keyExchangeFailed: 3,
  /** Outgoing packets that may wait for new keys. */
  heldPacketsMax: 1000,
  /** Socket bytes above which no further channel data is produced; the rest waits in the channel. */
  socketHighBytes: 1024 * 1024,
  /** So long after its longest life an edge ends a session by itself. */
  overdueMs: 5000,
} as const;

/** Ends these timers and intervals, and forgets them. */
export function clearAll(timers: NodeJS.Timeout[]): void {
  for (const timer of timers) clearTimeout(timer);
  timers.length = 0;
}
