// Owns: encoding the messages of user authentication that are sent to the client (RFC 4252, RFC 4256).
import { wireString } from '../../domain/ssh-wire.ts';
import type { LoginReply } from '../authentication/login.ts';
import { u32 } from './channel.ts';
import { number } from './messages.ts';

export function loginMessage(reply: Extract<LoginReply, { kind: 'failure' | 'key-acceptable' | 'prompt' }>): readonly Uint8Array[] {
  switch (reply.kind) {
    case 'failure':
      return [Uint8Array.of(number.authFailure), wireString(reply.methods.join(',')), Uint8Array.of(reply.isPartial ? 1 : 0)];
    case 'key-acceptable':
      return [Uint8Array.of(number.authReply), wireString(reply.algorithm), wireString(reply.key)];
    case 'prompt':
      return [
        Uint8Array.of(number.authReply),
        wireString(reply.name),
        wireString(reply.instruction),
        wireString(''),
        u32(reply.prompts.length),
        ...reply.prompts.flatMap((prompt) => [wireString(prompt.text), Uint8Array.of(prompt.echo ? 1 : 0)]),
      ];
  }
}

export const bannerMessage = (text: string): readonly Uint8Array[] => [Uint8Array.of(number.authBanner), wireString(text), wireString('')];
