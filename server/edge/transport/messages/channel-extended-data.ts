// Owns: SSH_MSG_CHANNEL_EXTENDED_DATA (RFC 4254 section 5.2): bytes beside the stream of a channel. We send words for
// the person at the client, as what a program writes to its standard error; no client sends us any.
import { wireString, wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

/** `type` is 1 for standard error, the only type of the RFC. */
type ChannelExtendedData = { readonly recipient: number; readonly type: number; readonly data: Uint8Array };

export const standardError = 1;

export const channelExtendedData: Codec<ChannelExtendedData> = {
  number: number.channelExtendedData,
  read(payload) {
    const fields = fieldsOf(payload);
    const message = { recipient: fields.uint32(), type: fields.uint32(), data: fields.string() };
    fields.end();
    return message;
  },
  write: ({ recipient, type, data }) => [
    numberOf(number.channelExtendedData),
    wireUint32(recipient),
    wireUint32(type),
    wireString(data),
  ],
};
