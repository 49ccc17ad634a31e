// A revoked key stays revoked, and the newest revocation list counts, in whatever order the lists are given.
import { join } from 'node:path';
import { test } from 'tap';
import { createAuthority, newKeys, signRevocationList } from '../../certs/authority.ts';
import { Authority, createAuthorityDirectory } from '../../certs/authority-directory.ts';
import type { Entry } from '../../certs/index-file.ts';
import { readTrusted } from '../../certs/inspect.ts';
import { reasonCodes } from '../../certs/reasons.ts';
import { temporaryDirectory } from '../support/database.ts';

test('a revoked key is certified again only when a successor took the place of its certificate', async (t) => {
  const directory = join(temporaryDirectory(t), 'authority');
  await createAuthorityDirectory(directory, 'a', 100);
  for (const [word, code] of [...Object.entries(reasonCodes), ['left the house', 0] as const]) {
    const { spki } = await newKeys();
    const name = `o-${code}`;
    const again = Authority.open(directory, async (authority) => {
      const issued = authority.entryOf(await authority.issueOperator(spki, name, 10));
      await authority.revoke(issued, { code, text: word });
      return authority.issueOperator(spki, name, 10);
    });
    if (code === reasonCodes.superseded) t.match(await again, /BEGIN CERTIFICATE/, word);
    else await t.rejects(again, { code: 'conflict', message: /was revoked at/ }, word);
  }
});

test('a certificate keeps the time of its first revocation, also when its key is revoked for a graver reason later', async (t) => {
  const directory = join(temporaryDirectory(t), 'authority');
  await createAuthorityDirectory(directory, 'a', 100);
  const { spki } = await newKeys();
  await Authority.open(directory, async (authority) => {
    const [first, second] = [
      authority.entryOf(await authority.issueOperator(spki, 'o', 10)),
      authority.entryOf(await authority.issueOperator(spki, 'o', 10)),
    ];
    const stands = ({ serial }: Entry): Entry => authority.entryOfSerial(serial);
    await authority.revoke(first, { code: reasonCodes.superseded, text: 'superseded' });
    const { revokedAt } = stands(first);
    t.not(revokedAt, null);
    t.equal(stands(second).revokedAt, null, 'its successor stays');
    await new Promise((resolve) => setTimeout(resolve, 5));
    await authority.revoke(second, { code: reasonCodes['key-compromise'], text: 'stolen' });
    t.match(stands(first), { revokedAt, reasonCode: reasonCodes['key-compromise'], reason: 'stolen' });
    t.ok((stands(second).revokedAt ?? '') > (revokedAt ?? ''), 'the other one from now on');
  });
});

test('of several revocation lists of one authority the newest counts, wherever it stands', async (t) => {
  const authority = await createAuthority('a', 100);
  const revoked = [{ serial: `01${'0'.repeat(30)}`, revokedAt: new Date(), reasonCode: 1 }];
  const lists = [
    await signRevocationList(authority, [], 1, 10),
    await signRevocationList(authority, revoked, 3, 10),
    await signRevocationList(authority, [], 2, 10),
  ];
  for (const order of [
    [0, 1, 2],
    [1, 0, 2],
    [2, 0, 1],
  ]) {
    const [trusted] = readTrusted(authority.certificate, order.map((i) => lists[i]).join('\n'));
    t.equal(trusted?.list.number, 3, order.join());
    t.equal(trusted?.list.revoked.size, 1);
  }
});
