// Owns: SSH_MSG_UNIMPLEMENTED (RFC 4253 section 11.4): the answer to a message that nobody understands.
import { wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

/** `sequence` is the sequence number of the packet that is answered. */
type Unimplemented = { readonly sequence: number };

export const unimplemented: Codec<Unimplemented> = {
  number: number.unimplemented,
  read: (payload) => ({ sequence: fieldsOf(payload).uint32() }),
  write: ({ sequence }) => [numberOf(number.unimplemented), wireUint32(sequence)],
};
