// Owns: SSH_MSG_REQUEST_FAILURE (RFC 4254 section 4): a global request was refused.
import { bare } from './codec.ts';
import { number } from './numbers.ts';

export const requestFailure = bare(number.requestFailure);
