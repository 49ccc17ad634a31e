// Which accounts have keys that are public: the demo accounts and no others.
import { test } from 'tap';
import { demoCustomers, demoMachine, demoProcessor, isDemoAccount } from '../../server/domain/demo-accounts.ts';

test('the demo accounts, and no others, have keys that are public', (t) => {
  t.same(demoCustomers, ['acme', 'acme-2', 'globex']);
  t.equal(demoProcessor, 'processor');
  t.equal(demoMachine('acme'), 'acme-batch');
  for (const name of ['acme', 'acme-2', 'globex', 'acme-batch', 'acme-2-batch', 'globex-batch', 'processor'])
    t.ok(isDemoAccount(name), name);
  for (const name of ['', 'Acme', 'acme-3', 'acme-batch-batch', 'processor-batch', '-batch', 'globe', 'acme '])
    t.notOk(isDemoAccount(name), name);
  t.end();
});
