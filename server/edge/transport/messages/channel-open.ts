// Owns: SSH_MSG_CHANNEL_OPEN (RFC 4254 section 5.1).
import { wireString, wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

/** `window` and `packetMax`, in bytes, are what the sender accepts. What a type has after them is not read. */
type ChannelOpen = {
  readonly type: string;
  readonly sender: number;
  readonly window: number;
  readonly packetMax: number;
};

export const channelOpen: Codec<ChannelOpen> = {
  number: number.channelOpen,
  read(payload) {
    const fields = fieldsOf(payload);
    return { type: fields.text(), sender: fields.uint32(), window: fields.uint32(), packetMax: fields.uint32() };
  },
  write: ({ type, sender, window, packetMax }) => [
    numberOf(number.channelOpen),
    wireString(type),
    wireUint32(sender),
    wireUint32(window),
    wireUint32(packetMax),
  ],
};
