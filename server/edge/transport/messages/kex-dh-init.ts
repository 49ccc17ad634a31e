// Owns: the client's public value of a key exchange: SSH_MSG_KEXDH_INIT (RFC 4253 section 8), SSH_MSG_KEX_ECDH_INIT
// (RFC 5656 section 4) and SSH_MSG_KEX_HYBRID_INIT, which have the same number and the same form. For a group, the
// value is an mpint.
import { wireString } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

type KexDhInit = { readonly clientPublic: Buffer };

export const kexDhInit: Codec<KexDhInit> = {
  number: number.kexDhInit,
  read(payload) {
    const fields = fieldsOf(payload);
    const clientPublic = Buffer.from(fields.string());
    fields.end();
    return { clientPublic };
  },
  write: ({ clientPublic }) => [numberOf(number.kexDhInit), wireString(clientPublic)],
};
