// Owns: SSH_MSG_CHANNEL_SUCCESS: a channel request was granted (RFC 4254 section 5.4).
import { aboutChannel } from './codec.ts';
import { number } from './numbers.ts';

export const channelSuccess = aboutChannel(number.channelSuccess);
