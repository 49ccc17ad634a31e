// Who is to blame when a login ends early: what the warden cannot or will not answer is not counted against the client.
import { setImmediate } from 'node:timers/promises';
import { test } from 'tap';
import { CofferdamError, type ErrorCode } from '../../server/domain/errors.ts';
import { type AuthRequest, LoginDriver, readRequest } from '../../server/edge/authentication/login.ts';
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

test('each prompt is answered once: answers to no prompt end the connection, and the warden does not hear of them', async (t) => {
  const outcomes = ['prompt', 'refused', 'prompt', 'prompt', 'refused'];
  const heard: unknown[] = [];
  const said: string[] = [];
  const call = (async (_name: string, { evidence }: { readonly evidence: unknown }) => {
    heard.push(evidence);
    const outcome = outcomes[heard.length - 1];
    return outcome === 'prompt'
      ? { outcome, name: '', instruction: '', prompts: [{ text: 'Code: ', isEchoed: false }] }
      : { outcome, methods: ['keyboard-interactive'] };
  }) as unknown as WardenCalls['call'];
  const driver = new LoginDriver({
    connection: 'c',
    warden: { call, callRepeatable: call } satisfies WardenCalls,
    source: { address: '192.0.2.1', port: 1 },
    reply: ({ kind }) => said.push(kind),
    fail: (reason, whose) => said.push(`${whose}: ${reason}`),
  });
  const take = async (request: AuthRequest): Promise<void> => {
    driver.take(request);
    await setImmediate();
  };
  const begin: AuthRequest = { kind: 'request', username: 'acme', evidence: { type: 'keyboard-interactive' } };
  const answer: AuthRequest = { kind: 'answers', answers: ['000000'] };
  for (const request of [begin, answer, begin, answer, answer]) await take(request);
  t.same(said, ['prompt', 'failure', 'prompt', 'prompt', 'failure'], 'a prompt may follow an answer');
  await take(answer);
  t.equal(said.at(-1), 'client: answers without a prompt');
  t.equal(heard.length, 5);
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
