// Owns: SSH_MSG_REQUEST_SUCCESS (RFC 4254 section 4): the answer to a global request; its data have the form that this
// kind of request defines.
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

type RequestSuccess = { readonly data: Uint8Array };

export const requestSuccess: Codec<RequestSuccess> = {
  number: number.requestSuccess,
  read: (payload) => ({ data: fieldsOf(payload).rest() }),
  write: ({ data }) => [numberOf(number.requestSuccess), data],
};
