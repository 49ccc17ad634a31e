// Owns: SSH_MSG_DISCONNECT (RFC 4253 section 11.1): the connection ends, and why.
import { wireString, wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

type Disconnect = { readonly reason: number; readonly description: string };

export const disconnect: Codec<Disconnect> = {
  number: number.disconnect,
  read(payload) {
    const fields = fieldsOf(payload);
    const message = { reason: fields.uint32(), description: new TextDecoder().decode(fields.string()) };
    // The language.
    fields.string();
    fields.end();
    return message;
  },
  write: ({ reason, description }) => [
    numberOf(number.disconnect),
    wireUint32(reason),
    wireString(description),
    wireString(''),
  ],
};
