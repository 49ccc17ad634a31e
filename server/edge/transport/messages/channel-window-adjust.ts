// Owns: SSH_MSG_CHANNEL_WINDOW_ADJUST (RFC 4254 section 5.2).
import { wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

type ChannelWindowAdjust = { readonly recipient: number; readonly bytes: number };

export const channelWindowAdjust: Codec<ChannelWindowAdjust> = {
  number: number.channelWindowAdjust,
  read(payload) {
    const fields = fieldsOf(payload);
    return { recipient: fields.uint32(), bytes: fields.uint32() };
  },
  write: ({ recipient, bytes }) => [numberOf(number.channelWindowAdjust), wireUint32(recipient), wireUint32(bytes)],
};
