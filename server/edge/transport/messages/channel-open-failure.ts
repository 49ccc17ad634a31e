// Owns: SSH_MSG_CHANNEL_OPEN_FAILURE (RFC 4254 section 5.1).
import { wireString, wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

/** `reason` is a code of the RFC; 1 means administratively prohibited. */
type ChannelOpenFailure = { readonly recipient: number; readonly reason: number; readonly description: string };

export const channelOpenFailure: Codec<ChannelOpenFailure> = {
  number: number.channelOpenFailure,
  read(payload) {
    const fields = fieldsOf(payload);
    const message = {
      recipient: fields.uint32(),
      reason: fields.uint32(),
      description: new TextDecoder().decode(fields.string()),
    };
    // The language.
    fields.string();
    fields.end();
    return message;
  },
  write: ({ recipient, reason, description }) => [
    numberOf(number.channelOpenFailure),
    wireUint32(recipient),
    wireUint32(reason),
    wireString(description),
    wireString(''),
  ],
};
