// Owns: SSH_MSG_SERVICE_REQUEST (RFC 4253 section 10).
import { wireString } from '../../../domain/ssh-wire.ts';
import { type Codec, fieldsOf, numberOf } from './codec.ts';
import { number } from './numbers.ts';

type ServiceRequest = { readonly service: string };

export const serviceRequest: Codec<ServiceRequest> = {
  number: number.serviceRequest,
  read: (payload) => ({ service: fieldsOf(payload).text() }),
  write: ({ service }) => [numberOf(number.serviceRequest), wireString(service)],
};
