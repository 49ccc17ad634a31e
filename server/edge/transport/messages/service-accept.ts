// Owns: SSH_MSG_SERVICE_ACCEPT (RFC 4253 section 10).
import { wireString } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

type ServiceAccept = { readonly service: string };

export const serviceAccept: Codec<ServiceAccept> = {
  number: number.serviceAccept,
  read: (payload) => ({ service: fieldsOf(payload).text() }),
  write: ({ service }) => [numberOf(number.serviceAccept), wireString(service)],
};
