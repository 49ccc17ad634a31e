// Who is to blame when a login ends early: what the warden cannot or will not answer is not counted against the client.
import { test } from 'tap';
import { CofferdamError, type ErrorCode } from '../../server/domain/errors.ts';
import { LoginDriver, readRequest } from '../../server/edge/authentication/login.ts';
import type { WardenCalls } from '../../server/edge/seam/sftp-seam.ts';

async function endOf(code: ErrorCode): Promise<string> {
  const refusing = (): Promise<never> => Promise.reject(new CofferdamError(code, 'not now'));
  return new Promise((resolve) => {
    const driver = new LoginDriver({
      connection: 'c',
      warden: { call: refusing, callRepeatable: refusing } satisfies WardenCalls,
      source: { address: '192.0.2.1', port: 1 },
      reply: () => resolve('answered'),
      fail: (_reason, whose) => resolve(whose),
    });
    driver.take({ kind: 'request', username: 'acme', evidence: { type: 'none' } });
  });
}

test('a refusal of our own is ours, a malformed message is the client’s', async (t) => {
  for (const code of ['over-limit', 'unavailable', 'conflict', 'bug'] as const)
    t.equal(await endOf(code), 'ours', code);
  t.equal(await endOf('invalid'), 'client');
});

/** A USERAUTH request of `method`, with the fields that the method adds. */
function request(method: string, ...fields: readonly Buffer[]): Buffer {
  const texts = ['acme', 'ssh-connection', method].map((text) => wireString(text));
  return Buffer.concat([Buffer.of(50), ...texts, ...fields]);
}

const wireString = (text: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text)]);
};

test('bytes behind the last field of an offered method are refused, and the exact message is taken', (t) => {
  const whole = [
    request('none'),
    request('password', Buffer.of(0), wireString('a long secret')),
    request('password', Buffer.of(1), wireString('a long secret'), wireString('a new one')),
    request('keyboard-interactive', wireString(''), wireString('')),
  ];
  for (const message of whole) {
    t.equal(readRequest(message).kind, 'request');
    t.throws(() => readRequest(Buffer.concat([message, Buffer.of(0)])), 'one byte more');
  }
  t.throws(
    () => readRequest(request('password', Buffer.of(1), wireString('a long secret'))),
    'a change without its new password',
  );
  t.match(
    readRequest(request('hostbased', wireString('ssh-ed25519'))),
    { evidence: { type: 'none' } },
    'its fields are not ours',
  );
  t.end();
});
