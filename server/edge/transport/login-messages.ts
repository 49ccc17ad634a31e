// Owns: which message tells a client what the warden answered to a step of its login (RFC 4252, RFC 4256).
import type { LoginReply } from '../authentication/login.ts';
import { userauthFailure } from './messages/userauth-failure.ts';
import { userauthInfoRequest } from './messages/userauth-info-request.ts';
import { userauthPkOk } from './messages/userauth-pk-ok.ts';

export function loginMessage(
  reply: Extract<LoginReply, { kind: 'failure' | 'key-acceptable' | 'prompt' }>,
): readonly Uint8Array[] {
  switch (reply.kind) {
    case 'failure':
      return userauthFailure.write(reply);
    case 'key-acceptable':
      return userauthPkOk.write(reply);
    case 'prompt':
      return userauthInfoRequest.write(reply);
  }
}
