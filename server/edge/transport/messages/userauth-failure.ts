// Owns: SSH_MSG_USERAUTH_FAILURE (RFC 4252 section 5.1), which also says that a proof counted and more are needed
// (partial success).
import { wireBool, wireString } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

/** `methods` are the methods that can continue. */
type UserauthFailure = { readonly methods: readonly string[]; readonly isPartial: boolean };

export const userauthFailure: Codec<UserauthFailure> = {
  number: number.userauthFailure,
  read(payload) {
    const fields = fieldsOf(payload);
    const [names, isPartial] = [fields.text(), fields.bool()];
    fields.end();
    return { methods: names === '' ? [] : names.split(','), isPartial };
  },
  write: ({ methods, isPartial }) => [
    numberOf(number.userauthFailure),
    wireString(methods.join(',')),
    wireBool(isPartial),
  ],
};
