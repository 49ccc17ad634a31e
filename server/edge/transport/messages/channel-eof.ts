// Owns: SSH_MSG_CHANNEL_EOF: the sender sends no more data (RFC 4254 section 5.3).
import { aboutChannel } from './codec.ts';
import { number } from './numbers.ts';

export const channelEof = aboutChannel(number.channelEof);
