// Owns: SSH_MSG_USERAUTH_INFO_RESPONSE (RFC 4256 section 3.4): what the person answered.
import { wireString, wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf, textIn } from './codec.ts';
import { number } from './numbers.ts';

type UserauthInfoResponse = { readonly answers: readonly string[] };
const answersMax = 4;

export const userauthInfoResponse: Codec<UserauthInfoResponse> = {
  number: number.userauthInfoResponse,
  /** Throws on a malformed message and on more than four answers. */
  read(payload) {
    const fields = fieldsOf(payload);
    const count = fields.uint32();
    if (count > answersMax) throw new Error('too many answers');
    const answers = Array.from({ length: count }, () => textIn(fields));
    fields.end();
    return { answers };
  },
  write: ({ answers }) => [
    numberOf(number.userauthInfoResponse),
    wireUint32(answers.length),
    ...answers.map((one) => wireString(one)),
  ],
};
