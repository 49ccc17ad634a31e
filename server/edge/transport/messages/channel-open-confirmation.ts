// Owns: SSH_MSG_CHANNEL_OPEN_CONFIRMATION (RFC 4254 section 5.1).
import { wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

/** `window` and `packetMax`, in bytes, are what the sender accepts. */
type ChannelOpenConfirmation = {
  readonly recipient: number;
  readonly sender: number;
  readonly window: number;
  readonly packetMax: number;
};

export const channelOpenConfirmation: Codec<ChannelOpenConfirmation> = {
  number: number.channelOpenConfirmation,
  read(payload) {
    const fields = fieldsOf(payload);
    return { recipient: fields.uint32(), sender: fields.uint32(), window: fields.uint32(), packetMax: fields.uint32() };
  },
  write: ({ recipient, sender, window, packetMax }) => [
    numberOf(number.channelOpenConfirmation),
    wireUint32(recipient),
    wireUint32(sender),
    wireUint32(window),
    wireUint32(packetMax),
  ],
};
