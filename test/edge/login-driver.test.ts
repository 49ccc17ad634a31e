// Whose fault it is when a login ends early: what the warden cannot or will not answer is no misdeed of the client.
import { test } from 'tap';
import { CofferdamError, type ErrorCode } from '../../server/domain/errors.ts';
import { LoginDriver } from '../../server/edge/authentication/login.ts';
import type { WardenCalls } from '../../server/edge/sftp-seam.ts';

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

test('a refusal of our own is ours, a message that has not its form is the client’s', async (t) => {
  for (const code of ['over-limit', 'unavailable', 'conflict', 'bug'] as const) t.equal(await endOf(code), 'ours', code);
  t.equal(await endOf('invalid'), 'client');
});
