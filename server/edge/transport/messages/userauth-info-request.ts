// Owns: SSH_MSG_USERAUTH_INFO_REQUEST (RFC 4256 section 3.2): what the client shall ask its person. It has the number
// of PK_OK.
import { wireBool, wireString, wireUint32 } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

type UserauthInfoRequest = {
  readonly name: string;
  readonly instruction: string;
  /** `echo` says whether the answer may be shown while it is typed. */
  readonly prompts: readonly { readonly text: string; readonly echo: boolean }[];
};
const promptsMax = 16;

export const userauthInfoRequest: Codec<UserauthInfoRequest> = {
  number: number.userauthReply,
  read(payload) {
    const fields = fieldsOf(payload);
    const text = (): string => new TextDecoder().decode(fields.string());
    const [name, instruction] = [text(), text()];
    // The language.
    fields.string();
    const count = fields.uint32();
    if (count > promptsMax) throw new Error('too many prompts');
    const prompts = Array.from({ length: count }, () => ({ text: text(), echo: fields.bool() }));
    fields.end();
    return { name, instruction, prompts };
  },
  write: ({ name, instruction, prompts }) => [
    numberOf(number.userauthReply),
    wireString(name),
    wireString(instruction),
    wireString(''),
    wireUint32(prompts.length),
    ...prompts.flatMap((prompt) => [wireString(prompt.text), wireBool(prompt.echo)]),
  ],
};
