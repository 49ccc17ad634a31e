// Owns: one SSH channel without a connection, with everything that it says and is told.
import type { FailDetail } from '../../server/edge/seam/fail-reasons.ts';
import { BufferReserve } from '../../server/edge/transport/buffer-reserve.ts';
import { Channel } from '../../server/edge/transport/channel.ts';
import { number } from '../../server/edge/transport/messages/numbers.ts';

/** More than any test asks for: a channel that never ends is an error, and no full memory. */
const messagesMax = 60_000;

export type Given = {
  readonly remoteId?: number;
  readonly window?: number;
  readonly packetMax?: number;
  readonly ownWindow?: number;
  readonly bytesMax?: number;
  /** Without an input nothing was started on the channel yet. */
  readonly hasInput?: boolean;
};

export function oneChannel(given: Given = {}) {
  const said: Buffer[] = [];
  const seen = {
    failed: [] as string[],
    details: [] as (FailDetail | undefined)[],
    isWritable: true,
    closed: 0,
    received: 0,
    ends: 0,
  };
  const input = {
    isBusy: false,
    data: (chunk: Buffer): void => {
      seen.received += chunk.length;
    },
    eof: (): void => {
      seen.ends += 1;
    },
    closed: async (): Promise<void> => {},
  };
  const reserve = new BufferReserve(given.bytesMax ?? 512 * 2 ** 20);
  const channel = new Channel(
    {
      send: (parts) => {
        if (said.push(Buffer.concat(parts as Uint8Array[])) > messagesMax) throw new Error('a channel that never ends');
      },
      maySendData: () => seen.isWritable,
      hold: () => {},
      fail: (reason, more) => {
        seen.failed.push(reason);
        seen.details.push(more);
      },
      closed: () => (seen.closed += 1),
    },
    {
      remoteId: given.remoteId ?? 7,
      window: given.window ?? 1_000_000,
      packetMax: given.packetMax ?? 32_768,
      ownWindow: given.ownWindow ?? 1_000_000,
      buffers: reserve.account(),
    },
  );
  if (given.hasInput !== false) channel.input = input;
  const adjustments = (): number[] =>
    said.filter((one) => one[0] === number.channelWindowAdjust).map((one) => one.readUInt32BE(5));
  return { channel, said, seen, input, reserve, adjustments };
}
