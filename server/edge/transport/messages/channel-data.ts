// Owns: SSH_MSG_CHANNEL_DATA (RFC 4254 section 5.2). There is one of these for each packet of a file, so its fields are
// read and written without a reader, and its data is not copied.
import type { Codec } from './codec.ts';
import { number } from './numbers.ts';

const headerBytes = 9;
/** The data in pieces, which follow each other. What was read is one piece. */
type ChannelData = { readonly recipient: number; readonly pieces: readonly Uint8Array[] };

const viewOf = (payload: Uint8Array): DataView => new DataView(payload.buffer, payload.byteOffset, payload.length);

/** Returns whether the length field is that of the data. */
export const isWholeData = (payload: Uint8Array): boolean =>
  payload.length >= headerBytes && viewOf(payload).getUint32(5) === payload.length - headerBytes;

export const channelData: Codec<ChannelData> = {
  number: number.channelData,
  read(payload) {
    if (!isWholeData(payload)) throw new Error('channel data of the wrong length');
    const view = viewOf(payload);
    return { recipient: view.getUint32(1), pieces: [payload.subarray(headerBytes)] };
  },
  write({ recipient, pieces }) {
    const header = Buffer.allocUnsafe(headerBytes);
    header[0] = number.channelData;
    header.writeUInt32BE(recipient, 1);
    header.writeUInt32BE(
      pieces.reduce((sum, piece) => sum + piece.length, 0),
      5,
    );
    return [header, ...pieces];
  },
};
