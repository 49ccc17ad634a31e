// Owns: SSH_MSG_CHANNEL_REQUEST (RFC 4254 sections 5.4 and 6), and what belongs to the requests that we know.
import { WireReader, wireBool, wireString, wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

/** `data` is what follows the fields that all requests have. */
type ChannelRequest = {
  readonly recipient: number;
  readonly type: string;
  readonly wantsReply: boolean;
  readonly data: Uint8Array;
};

export const channelRequest: Codec<ChannelRequest> = {
  number: number.channelRequest,
  read(payload) {
    const fields = fieldsOf(payload);
    return { recipient: fields.uint32(), type: fields.text(), wantsReply: fields.bool(), data: fields.rest() };
  },
  write: ({ recipient, type, wantsReply, data }) => [
    numberOf(number.channelRequest),
    wireUint32(recipient),
    wireString(type),
    wireBool(wantsReply),
    data,
  ],
};

/** The data of `subsystem` (its name) and of `exec` (the command). */
export const oneString = {
  read: (data: Uint8Array): Uint8Array => new WireReader(data).string(),
  write: (value: Uint8Array | string): Uint8Array => wireString(value),
} as const;

/** The data of `exit-status`. */
export const exitStatus = {
  read: (data: Uint8Array): number => new WireReader(data).uint32(),
  write: (status: number): Uint8Array => wireUint32(status),
} as const;
