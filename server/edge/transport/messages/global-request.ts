// Owns: SSH_MSG_GLOBAL_REQUEST (RFC 4254 section 4): the name of a request, and whatever belongs to it.
import { wireBool, wireString } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

/** `data` is what follows the fields that all requests have. */
type GlobalRequest = { readonly name: string; readonly wantsReply: boolean; readonly data: Uint8Array };

export const globalRequest: Codec<GlobalRequest> = {
  number: number.globalRequest,
  read(payload) {
    const fields = fieldsOf(payload);
    return { name: fields.text(), wantsReply: fields.bool(), data: fields.rest() };
  },
  write: ({ name, wantsReply, data }) => [numberOf(number.globalRequest), wireString(name), wireBool(wantsReply), data],
};
