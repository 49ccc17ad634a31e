// Owns: SSH_MSG_CHANNEL_CLOSE: the sender has done with the channel (RFC 4254 section 5.3).
import { aboutChannel } from './codec.ts';
import { number } from './numbers.ts';

export const channelClose = aboutChannel(number.channelClose);
