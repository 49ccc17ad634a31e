// What counts as a proof that somebody has the key that is to be registered: the account's request for it, signed by the very key.
import { test } from 'tap';
import { keyRequestNamespace, keyRequestText } from '../../server/domain/key-request.ts';
import { requireProof } from '../../server/warden/credentials/key-proofs.ts';
import { armored, type Key, makeKey } from '../support/key-requests.ts';

const signed = (text: string, by: Key, namespace = keyRequestNamespace): string => armored(text, by, namespace);

test('a request for this key, of this account, signed by this key', async (t) => {
  const [mine, other] = [makeKey(), makeKey()];
  const { fingerprint } = mine;
  const text = keyRequestText({ account: 'north', fingerprint, expires: '2027-01-31', publicKey: mine.line });
  t.doesNotThrow(() => requireProof(text + signed(text, mine), 'north', fingerprint));
  const forAnother = keyRequestText({
    account: 'north',
    fingerprint: other.fingerprint,
    expires: '2027-01-31',
    publicKey: other.line,
  });
  for (const [why, input, account] of [
    ['signed by another key', text + signed(text, other), 'north'],
    ['for another account', text + signed(text, mine), 'south'],
    ['for another key', forAnother + signed(forAnother, mine), 'north'],
    ['for another purpose', text + signed(text, mine, 'file'), 'north'],
    ['over another text', text.replace('2027', '2028') + signed(text, mine), 'north'],
  ] as const)
    t.throws(() => requireProof(input, account, fingerprint), { code: 'denied' }, why);
  t.throws(() => requireProof(text, 'north', fingerprint), { code: 'invalid' }, 'not signed');
});
