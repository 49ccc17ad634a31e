// Owns: SSH_MSG_CHANNEL_FAILURE: a channel request was refused (RFC 4254 section 5.4).
import { aboutChannel } from './codec.ts';
import { number } from './numbers.ts';

export const channelFailure = aboutChannel(number.channelFailure);
