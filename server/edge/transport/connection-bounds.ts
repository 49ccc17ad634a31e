// Owns: the bounds of one connection that cannot be configured.

export const bounds = {
  preLoginMessagesMax: 200,
  /**
   * After this many messages of one connection the other connections have their turn. At full speed that is once in 16
   * MiB.
   */
  messagesPerTurnMax: 512,
  /** How long bytes wait unread at most because one channel cannot take more, in milliseconds. */
  heldMsMax: 500,
  /**
   * The largest number of requests that may be refused within `refusalsWindowMs`. Keep-alives are a few in a minute.
   */
  refusalsMax: 200,
  refusalsWindowMs: 10_000,
  /**
   * The largest number of channels that one connection may open within `opensWindowMs`. A pool that opens a channel for
   * each file reaches some tens a second. In all there may be any number.
   */
  opensMax: 1000,
  opensWindowMs: 10_000,
  /** The largest number of channels of one connection that are closed and still release what they had open. */
  lettingGoMax: 16,
  /** The largest number of outgoing packets that may wait for new keys. */
  heldPacketsMax: 1000,
  /** While more bytes than this wait in the socket, no further channel data is produced; it waits in the channel. */
  socketHighBytes: 1024 * 1024,
  /** An edge ends a session by itself when it has exceeded its longest life by this time. */
  overdueMs: 5000,
} as const;

/** Stops these timers and intervals, and empties the list. */
export function clearAll(timers: NodeJS.Timeout[]): void {
  for (const timer of timers) clearTimeout(timer);
  timers.length = 0;
}
