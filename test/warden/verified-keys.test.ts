// T-36: the verified row of the key and the key itself say whose signature counts, not another statement that found it.
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'tap';
import { publicKeyFingerprint } from '../../server/rpc/change-document.ts';
import { isVerifiedKey } from '../../server/warden/seals/genuine.ts';
import type { VerifiedRows } from '../../server/warden/seals/seals.ts';

const makeKey = (): Buffer =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });

test('a key that was found under the name of another one verifies nothing', (t) => {
  const [genuine, forged] = [makeKey(), makeKey()];
  const fingerprint = publicKeyFingerprint(genuine);
  const rowOf = (publicKey: Buffer, endedAt: number | null): VerifiedRows => {
    const facts = JSON.stringify({ operator_id: 'alice', public_key: publicKey.toString('hex'), ended_at: endedAt });
    const row = {
      kind: 'operator-key',
      id: fingerprint,
      facts,
      mac: null,
      sealedBy: null,
      change: null,
      maker: null,
      generation: 1,
    } as const;
    return new Map([[`operator-key/${fingerprint}`, row]]);
  };
  const found = { operatorId: 'alice', publicKey: genuine, isEnded: false };
  t.ok(isVerifiedKey(found, fingerprint, rowOf(genuine, null)), 'the twin');
  t.notOk(isVerifiedKey({ ...found, publicKey: forged }, fingerprint, rowOf(genuine, null)), 'another key');
  t.notOk(
    isVerifiedKey({ ...found, publicKey: forged }, fingerprint, rowOf(forged, null)),
    'whatever both statements say',
  );
  t.notOk(isVerifiedKey({ ...found, operatorId: 'bob' }, fingerprint, rowOf(genuine, null)), 'of another operator');
  t.notOk(isVerifiedKey(found, fingerprint, rowOf(genuine, 1)), 'said to be in use, and ended');
  t.ok(
    isVerifiedKey({ ...found, isEnded: undefined }, fingerprint, rowOf(genuine, 1)),
    'what it signed before, it signed',
  );
  t.notOk(isVerifiedKey(found, fingerprint, new Map()), 'no row');
  t.end();
});
