// Owns: SSH_MSG_USERAUTH_REQUEST (RFC 4252 sections 5, 7 and 8; RFC 4256 section 3.1) with the methods that we read.
import { type WireReader, wireBool, wireString } from '../../../domain/ssh-wire.ts';
import { blobIn, type Codec, fieldsOf, numberOf, textIn } from './codec.ts';
import { number } from './numbers.ts';

type Method =
  | { readonly method: 'none' }
  /** Without a signature, the client asks whether this key would be acceptable. */
  | {
      readonly method: 'publickey';
      readonly algorithm: string;
      readonly key: Buffer;
      readonly signature: Buffer | undefined;
    }
  /** With a new password, the client wants to change its password. */
  | { readonly method: 'password'; readonly password: string; readonly newPassword: string | undefined }
  | { readonly method: 'keyboard-interactive' }
  /** A method that is not read here. What follows its name is not looked at. */
  | { readonly method: 'other'; readonly name: string };
export type UserauthRequest = { readonly username: string; readonly service: string } & Method;

function readMethod(name: string, fields: WireReader): Method {
  switch (name) {
    case 'publickey': {
      const hasSignature = fields.bool();
      const [algorithm, key] = [textIn(fields), blobIn(fields)];
      return { method: name, algorithm, key, signature: hasSignature ? blobIn(fields) : undefined };
    }
    case 'password': {
      const isChange = fields.bool();
      const password = textIn(fields);
      return { method: name, password, newPassword: isChange ? textIn(fields) : undefined };
    }
    case 'keyboard-interactive':
      // The language and the submethods.
      fields.string();
      fields.string();
      return { method: name };
    case 'none':
      return { method: name };
    default:
      return { method: 'other', name };
  }
}

function writeMethod(request: Method): readonly Uint8Array[] {
  switch (request.method) {
    case 'publickey': {
      const { algorithm, key, signature } = request;
      return [
        wireBool(signature !== undefined),
        wireString(algorithm),
        wireString(key),
        ...(signature ? [wireString(signature)] : []),
      ];
    }
    case 'password': {
      const { password, newPassword } = request;
      return [
        wireBool(newPassword !== undefined),
        wireString(password),
        ...(newPassword === undefined ? [] : [wireString(newPassword)]),
      ];
    }
    case 'keyboard-interactive':
      return [wireString(''), wireString('')];
    case 'none':
    case 'other':
      return [];
  }
}

export const userauthRequest: Codec<UserauthRequest> = {
  number: number.userauthRequest,
  /**
   * Throws when a field is missing, too long or no valid UTF-8, and when bytes are left over after a method that is
   * read.
   */
  read(payload) {
    const fields = fieldsOf(payload);
    const [username, service] = [textIn(fields), textIn(fields)];
    const method = readMethod(textIn(fields), fields);
    if (method.method !== 'other') fields.end();
    return { username, service, ...method };
  },
  write: (request) => [
    numberOf(number.userauthRequest),
    wireString(request.username),
    wireString(request.service),
    wireString(request.method === 'other' ? request.name : request.method),
    ...writeMethod(request),
  ],
};
