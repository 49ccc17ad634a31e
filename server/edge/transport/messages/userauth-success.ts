// Owns: SSH_MSG_USERAUTH_SUCCESS (RFC 4252 section 5.1).
import { bare } from './codec.ts';
import { number } from './numbers.ts';

export const userauthSuccess = bare(number.userauthSuccess);
