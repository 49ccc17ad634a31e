// Owns: SSH_MSG_EXT_INFO (RFC 8308 section 2.3): extensions by name.
import { wireString, wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

type ExtInfo = { readonly extensions: readonly { readonly name: string; readonly value: string }[] };
const extensionsMax = 16;

export const extInfo: Codec<ExtInfo> = {
  number: number.extInfo,
  read(payload) {
    const fields = fieldsOf(payload);
    const count = fields.uint32();
    if (count > extensionsMax) throw new Error('too many extensions');
    const extensions = Array.from({ length: count }, () => ({ name: fields.text(), value: fields.text() }));
    fields.end();
    return { extensions };
  },
  write: ({ extensions }) => [
    numberOf(number.extInfo),
    wireUint32(extensions.length),
    ...extensions.flatMap(({ name, value }) => [wireString(name), wireString(value)]),
  ],
};
