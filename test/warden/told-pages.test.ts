// Which pages of listings are free: those of which every word was paid for by the same credential within a day.
import { randomUUID } from 'node:crypto';
import { test } from 'tap';
import { type CredentialId, idOf } from '../../server/domain/ids.ts';
import { pageName, ToldPages } from '../../server/warden/budgets/told-pages.ts';

const dayMs = 86_400_000;
const newCredential = (): CredentialId => idOf<CredentialId>(randomUUID());

test('a page is free for who paid for it, for a day from the payment on', async (t) => {
  const pages = new ToldPages();
  const [mine, other] = [newCredential(), newCredential()];
  t.notOk(pages.isPaid(mine, 'a', 0));
  pages.paid(mine, 'a', 0);
  t.ok(pages.isPaid(mine, 'a', 0));
  t.ok(pages.isPaid(mine, 'a', dayMs - 1));
  t.notOk(pages.isPaid(mine, 'a', dayMs), 'not for ever');
  t.notOk(pages.isPaid(mine, 'b', 0), 'another page');
  t.notOk(pages.isPaid(other, 'a', 0), 'another credential');
  pages.paid(mine, 'a', dayMs);
  t.ok(pages.isPaid(mine, 'a', dayMs + 1), 'paid for once more');
});

test('a page is named by everything that was asked and told', async (t) => {
  const asked = ['folder', ['a'], null, 1000];
  const told = [{ name: 'x', kind: 'file', size: 1, modifiedAt: new Date(0) }];
  const name = pageName(asked, [told, false]);
  t.equal(pageName([...asked], [[...told], false]), name);
  const others = [
    pageName(['folder', ['b'], null, 1000], [told, false]),
    pageName(['folder', ['a'], 'w', 1000], [told, false]),
    pageName(['folder', ['a'], null, 100], [told, false]),
    pageName(asked, [told, true]),
    pageName(asked, [[], false]),
    ...[{ name: 'y' }, { kind: 'directory' }, { size: 2 }, { modifiedAt: new Date(1) }].map((change) =>
      pageName(asked, [[{ ...told[0], ...change }], false]),
    ),
  ];
  t.equal(new Set([name, ...others]).size, others.length + 1);
});

test('what is remembered is bounded, and what is forgotten is paid for again', async (t) => {
  const pages = new ToldPages();
  const mine = newCredential();
  for (let i = 0; i < 65; i += 1) pages.paid(mine, String(i), 0);
  t.same([pages.isPaid(mine, '0', 0), pages.isPaid(mine, '1', 0), pages.isPaid(mine, '64', 0)], [false, true, true]);
  for (let i = 0; i < 4000; i += 1) pages.paid(newCredential(), 'a', 0);
  t.notOk(pages.isPaid(mine, '64', 0));
});
