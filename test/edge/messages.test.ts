// Each SSH message: what is written is read again, its bytes are those of the RFC, and what is cut short, too long or
// followed by more is refused.
import { test } from 'tap';
import { concatBytes } from '../../server/domain/ssh-wire.ts';
import { channelClose } from '../../server/edge/transport/messages/channel-close.ts';
import { channelData, isWholeData } from '../../server/edge/transport/messages/channel-data.ts';
import { channelEof } from '../../server/edge/transport/messages/channel-eof.ts';
import { channelExtendedData } from '../../server/edge/transport/messages/channel-extended-data.ts';
import { channelFailure } from '../../server/edge/transport/messages/channel-failure.ts';
import { channelOpen } from '../../server/edge/transport/messages/channel-open.ts';
import { channelOpenConfirmation } from '../../server/edge/transport/messages/channel-open-confirmation.ts';
import { channelOpenFailure } from '../../server/edge/transport/messages/channel-open-failure.ts';
import { channelRequest, exitStatus, oneString } from '../../server/edge/transport/messages/channel-request.ts';
import { channelSuccess } from '../../server/edge/transport/messages/channel-success.ts';
import { channelWindowAdjust } from '../../server/edge/transport/messages/channel-window-adjust.ts';
import type { Codec } from '../../server/edge/transport/messages/codec.ts';
import { disconnect } from '../../server/edge/transport/messages/disconnect.ts';
import { extInfo } from '../../server/edge/transport/messages/ext-info.ts';
import { globalRequest } from '../../server/edge/transport/messages/global-request.ts';
import { hostKeys } from '../../server/edge/transport/messages/host-keys.ts';
import { kexDhInit } from '../../server/edge/transport/messages/kex-dh-init.ts';
import { requestFailure } from '../../server/edge/transport/messages/request-failure.ts';
import { requestSuccess } from '../../server/edge/transport/messages/request-success.ts';
import { serviceAccept } from '../../server/edge/transport/messages/service-accept.ts';
import { serviceRequest } from '../../server/edge/transport/messages/service-request.ts';
import { unimplemented } from '../../server/edge/transport/messages/unimplemented.ts';
import { userauthBanner } from '../../server/edge/transport/messages/userauth-banner.ts';
import { userauthFailure } from '../../server/edge/transport/messages/userauth-failure.ts';
import { userauthInfoRequest } from '../../server/edge/transport/messages/userauth-info-request.ts';
import { userauthInfoResponse } from '../../server/edge/transport/messages/userauth-info-response.ts';
import { userauthPkOk } from '../../server/edge/transport/messages/userauth-pk-ok.ts';
import { userauthRequest } from '../../server/edge/transport/messages/userauth-request.ts';
import { userauthSuccess } from '../../server/edge/transport/messages/userauth-success.ts';

type Sample = {
  readonly name: string;
  readonly payload: Buffer;
  readonly bytes: string;
  /** True when the message has nothing that is read as far as it goes. */
  readonly isClosed: boolean;
  readonly read: (payload: Uint8Array) => unknown;
  readonly message: unknown;
};

/** `bytes`: the payload as the RFC has it, in hexadecimal digits, texts in quotes. */
const sample = <T>(name: string, codec: Codec<T>, message: T, bytes: string, isClosed = true): Sample => ({
  name,
  payload: Buffer.from(concatBytes(codec.write(message))),
  bytes: bytes.replace(/'([^']*)'|\s/g, (_all, text?: string) => Buffer.from(text ?? '').toString('hex')),
  isClosed,
  read: codec.read,
  message,
});
const connection = "0000000e 'ssh-connection'";
const userauth = "0000000c 'ssh-userauth'";
const nobody = { username: 'a', service: 'ssh-connection' } as const;
const as = `32 00000001 'a' ${connection}`;

const samples: readonly Sample[] = [
  sample('disconnect', disconnect, { reason: 11, description: 'bye' }, "01 0000000b 00000003 'bye' 00000000"),
  sample('unimplemented', unimplemented, { sequence: 258 }, '03 00000102', false),
  sample('service request', serviceRequest, { service: 'ssh-userauth' }, `05 ${userauth}`, false),
  sample('service accept', serviceAccept, { service: 'ssh-userauth' }, `06 ${userauth}`, false),
  sample(
    'extensions',
    extInfo,
    { extensions: [{ name: 'server-sig-algs', value: 'x,y' }] },
    "07 00000001 0000000f 'server-sig-algs' 00000003 'x,y'",
  ),
  sample('public value', kexDhInit, { clientPublic: Buffer.of(1, 2) }, '1e 00000002 0102'),
  sample('no method', userauthRequest, { ...nobody, method: 'none' }, `${as} 00000004 'none'`),
  sample(
    'a question about a key',
    userauthRequest,
    { ...nobody, method: 'publickey', algorithm: 'x', key: Buffer.of(7), signature: undefined },
    `${as} 00000009 'publickey' 00 00000001 'x' 00000001 07`,
  ),
  sample(
    'a key with its signature',
    userauthRequest,
    { ...nobody, method: 'publickey', algorithm: 'x', key: Buffer.of(7), signature: Buffer.of(8, 9) },
    `${as} 00000009 'publickey' 01 00000001 'x' 00000001 07 00000002 0809`,
  ),
  sample(
    'a password',
    userauthRequest,
    { ...nobody, method: 'password', password: 'pw', newPassword: undefined },
    `${as} 00000008 'password' 00 00000002 'pw'`,
  ),
  sample(
    'a new password',
    userauthRequest,
    { ...nobody, method: 'password', password: 'pw', newPassword: 'new' },
    `${as} 00000008 'password' 01 00000002 'pw' 00000003 'new'`,
  ),
  sample(
    'a dialogue',
    userauthRequest,
    { ...nobody, method: 'keyboard-interactive' },
    `${as} 00000014 'keyboard-interactive' 00000000 00000000`,
  ),
  sample(
    'another method',
    userauthRequest,
    { ...nobody, method: 'other', name: 'hostbased' },
    `${as} 00000009 'hostbased'`,
    false,
  ),
  sample(
    'a failure',
    userauthFailure,
    { methods: ['publickey', 'x'], isPartial: true },
    "33 0000000b 'publickey,x' 01",
  ),
  sample('a failure without methods', userauthFailure, { methods: [], isPartial: false }, '33 00000000 00'),
  sample('success', userauthSuccess, {}, '34'),
  sample('banner', userauthBanner, { text: 'hi' }, "35 00000002 'hi' 00000000"),
  sample('key acceptable', userauthPkOk, { algorithm: 'x', key: Buffer.of(7) }, "3c 00000001 'x' 00000001 07"),
  sample(
    'prompts',
    userauthInfoRequest,
    { name: '', instruction: 'i', prompts: [{ text: 'Code: ', echo: false }] },
    "3c 00000000 00000001 'i' 00000000 00000001 00000006 'Code: ' 00",
  ),
  sample('answers', userauthInfoResponse, { answers: ['1', '22'] }, "3d 00000002 00000001 '1' 00000002 '22'"),
  sample(
    'global request',
    globalRequest,
    { name: 'x', wantsReply: true, data: Buffer.of(5) },
    "50 00000001 'x' 01 05",
    false,
  ),
  sample('request success', requestSuccess, { data: Buffer.of(5) }, '51 05', false),
  sample('request failure', requestFailure, {}, '52'),
  sample(
    'open',
    channelOpen,
    { type: 'session', sender: 1, window: 2, packetMax: 3 },
    "5a 00000007 'session' 00000001 00000002 00000003",
    false,
  ),
  sample(
    'open confirmation',
    channelOpenConfirmation,
    { recipient: 1, sender: 2, window: 3, packetMax: 4 },
    '5b 00000001 00000002 00000003 00000004',
    false,
  ),
  sample(
    'open failure',
    channelOpenFailure,
    { recipient: 1, reason: 1, description: 'no' },
    "5c 00000001 00000001 00000002 'no' 00000000",
  ),
  sample('window adjust', channelWindowAdjust, { recipient: 1, bytes: 0xffff_ffff }, '5d 00000001 ffffffff', false),
  sample('data', channelData, { recipient: 1, pieces: [Buffer.of(1, 2, 3)] }, '5e 00000001 00000003 010203'),
  sample(
    'extended data',
    channelExtendedData,
    { recipient: 1, type: 1, data: Buffer.of(1, 2, 3) },
    '5f 00000001 00000001 00000003 010203',
  ),
  sample('eof', channelEof, { recipient: 1 }, '60 00000001', false),
  sample('close', channelClose, { recipient: 1 }, '61 00000001', false),
  sample(
    'exit status',
    channelRequest,
    { recipient: 1, type: 'exit-status', wantsReply: false, data: Buffer.from(exitStatus.write(2)) },
    "62 00000001 0000000b 'exit-status' 00 00000002",
    false,
  ),
  sample(
    'exec',
    channelRequest,
    { recipient: 1, type: 'exec', wantsReply: true, data: Buffer.from(oneString.write('help')) },
    "62 00000001 00000004 'exec' 01 00000004 'help'",
    false,
  ),
  sample('channel success', channelSuccess, { recipient: 1 }, '63 00000001', false),
  sample('channel failure', channelFailure, { recipient: 1 }, '64 00000001', false),
];
/** What stands behind the last field that is read belongs to the message, whatever it is. */
const hasData = ['global request', 'request success', 'exit status', 'exec'];

test('what is written has the bytes of the RFC, and is read as what it was', (t) => {
  for (const { name, payload, bytes, read, message } of samples) {
    t.equal(payload.toString('hex'), bytes, name);
    t.same(read(payload), message, `${name}: read again`);
  }
  t.end();
});

test('a message that is cut short is refused, wherever it ends', (t) => {
  for (const { name, payload, read } of samples.filter((one) => !hasData.includes(one.name)))
    for (let bytes = 1; bytes < payload.length; bytes += 1)
      t.throws(() => read(payload.subarray(0, bytes)), `${name}: ${bytes} of ${payload.length} bytes`);
  t.end();
});

test('bytes behind the last field are refused, where the RFC has no more fields that we may not know', (t) => {
  for (const { name, payload, isClosed, read, message } of samples.filter((one) => !hasData.includes(one.name))) {
    const more = Buffer.concat([payload, Buffer.of(0)]);
    if (isClosed) t.throws(() => read(more), name);
    else t.same(read(more), message, `${name}: they are not read`);
  }
  t.end();
});

test('what a client may send in one message has bounds', (t) => {
  const request = (fields: object): Buffer =>
    Buffer.from(
      concatBytes(
        userauthRequest.write({
          ...nobody,
          method: 'publickey',
          algorithm: 'x',
          key: Buffer.of(1),
          signature: undefined,
          ...fields,
        } as never),
      ),
    );
  t.ok(userauthRequest.read(request({ key: Buffer.alloc(16_384) })));
  t.throws(() => userauthRequest.read(request({ key: Buffer.alloc(16_385) })), /too long/);
  t.ok(userauthRequest.read(request({ username: 'a'.repeat(256) })));
  t.throws(() => userauthRequest.read(request({ username: 'a'.repeat(257) })), /too long/);
  const latin = request({ username: 'é' });
  latin[latin.indexOf(0xc3)] = 0xff;
  t.throws(() => userauthRequest.read(latin), 'no UTF-8');
  const answers = (count: number): Buffer =>
    Buffer.from(concatBytes(userauthInfoResponse.write({ answers: Array.from({ length: count }, () => 'x') })));
  t.ok(userauthInfoResponse.read(answers(4)));
  t.throws(() => userauthInfoResponse.read(answers(5)), /too many answers/);
  const keys = (count: number): Uint8Array => hostKeys.write(Array.from({ length: count }, () => Buffer.of(1)));
  t.same(hostKeys.read(keys(16)).length, 16);
  t.throws(() => hostKeys.read(keys(17)), /too many host keys/);
  t.same(hostKeys.read(keys(0)), []);
  t.throws(() => hostKeys.read(keys(1).subarray(0, 4)), 'cut short');
  t.end();
});

test('data is not copied, and its length is that of its field', (t) => {
  const pieces = [Buffer.of(1, 2), Buffer.of(3)];
  const parts = channelData.write({ recipient: 7, pieces });
  t.equal(parts[1], pieces[0], 'the piece itself');
  const payload = Buffer.from(concatBytes(parts));
  const [data] = channelData.read(payload).pieces;
  t.equal(data?.buffer, payload.buffer, 'a view of the payload');
  t.same(Buffer.from(data ?? []), Buffer.of(1, 2, 3));
  payload.writeUInt32BE(2, 5);
  t.equal(isWholeData(payload), false);
  t.throws(() => channelData.read(payload), /wrong length/);
  t.end();
});
