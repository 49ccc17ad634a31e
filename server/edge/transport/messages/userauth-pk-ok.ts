// Owns: SSH_MSG_USERAUTH_PK_OK (RFC 4252 section 7): the key would be acceptable. It has the number of INFO_REQUEST.
import { wireString } from '../../../domain/ssh-wire.ts';
import { blobIn, type Codec, fieldsOf, numberOf, textIn } from './codec.ts';
import { number } from './numbers.ts';

type UserauthPkOk = { readonly algorithm: string; readonly key: Uint8Array };

export const userauthPkOk: Codec<UserauthPkOk> = {
  number: number.userauthReply,
  read(payload) {
    const fields = fieldsOf(payload);
    const message = { algorithm: textIn(fields), key: blobIn(fields) };
    fields.end();
    return message;
  },
  write: ({ algorithm, key }) => [numberOf(number.userauthReply), wireString(algorithm), wireString(key)],
};
