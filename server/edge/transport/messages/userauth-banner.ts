// Owns: SSH_MSG_USERAUTH_BANNER (RFC 4252 section 5.4): a text for the person at the client.
import { wireString } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

type UserauthBanner = { readonly text: string };

export const userauthBanner: Codec<UserauthBanner> = {
  number: number.userauthBanner,
  read(payload) {
    const fields = fieldsOf(payload);
    const text = new TextDecoder().decode(fields.string());
    // The language.
    fields.string();
    fields.end();
    return { text };
  },
  write: ({ text }) => [numberOf(number.userauthBanner), wireString(text), wireString('')],
};
