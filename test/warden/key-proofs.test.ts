// What proves that somebody holds the key that is to be registered: the account's request for it, signed by that very
// key.
import { test } from 'tap';
import { keyRequestNamespace } from '../../server/domain/key-request.ts';
import { requireProof } from '../../server/warden/credentials/key-proofs.ts';
import { armored, type Key, keyRequestText, makeKey } from '../support/key-requests.ts';

const installation = '6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11';
const elsewhere = '7b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11';
const signed = (text: string, by: Key, namespace = keyRequestNamespace): string => armored(text, by, namespace);

test('a request for this key, of this account, signed by this key', async (t) => {
  const [mine, other] = [makeKey(), makeKey()];
  const { fingerprint } = mine;
  const text = keyRequestText({
    installation,
    account: 'north',
    fingerprint,
    expires: '2027-01-31',
    publicKey: mine.line,
  });
  t.doesNotThrow(() => requireProof(text + signed(text, mine), 'north', fingerprint, installation));
  const forAnother = keyRequestText({
    installation,
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
    t.throws(() => requireProof(input, account, fingerprint, installation), { code: 'denied' }, why);
  t.throws(() => requireProof(text, 'north', fingerprint, installation), { code: 'invalid' }, 'not signed');
  const whole = text + signed(text, mine);
  t.throws(
    () => requireProof(whole, 'north', fingerprint, elsewhere),
    { code: 'denied', message: /which is 7b0f/ },
    'for another gateway',
  );
  t.throws(
    () => requireProof(whole.replace(installation, elsewhere), 'north', fingerprint, elsewhere),
    { code: 'denied' },
    'nor written anew',
  );
});
