// Production refuses a required witness on the disk of what it witnesses; development warns; a witness on another disk
// is accepted.
import { join } from 'node:path';
import { test } from 'tap';
import { requireOwnDisks, sharedDisks } from '../../server/warden/ledger/witness/same-disk.ts';
import { temporaryDirectory } from '../support/database.ts';
import { ledgerConfig } from '../support/ledger-config.ts';

test('a required witness on the disk of objects or database is refused in production', (t) => {
  const directory = temporaryDirectory(t);
  const config = ledgerConfig(directory, {});
  const [own] = config.ledger.witnesses;
  if (own === undefined) throw new Error('a witness');
  const with_ = (witnesses: readonly object[], mode: 'development' | 'production' = 'production') =>
    ({ ...config, mode, ledger: { ...config.ledger, witnesses } }) as typeof config;
  const said: string[] = [];
  const log = { warn: ((text: string) => void said.push(text)) as never };

  // The real disk: neither directory exists yet, and both would be made on it.
  t.match(sharedDisks(config), [
    /^the required witness local .*\/witness\) is on the same disk as the stored objects .* and the database /,
  ]);
  t.throws(() => requireOwnDisks(with_([own]), log), {
    code: 'configuration',
    message: /Mount another machine's disk there, use an https witness/,
  });
  t.same(said, []);
  requireOwnDisks(with_([own], 'development'), log);
  t.match(said, [/refused in production$/]);

  const elsewhere = (path: string): number => (path.startsWith(join(directory, 'witness')) ? 2 : 1);
  t.same(sharedDisks(with_([own]), elsewhere), [], 'twin: another disk');
  t.doesNotThrow(() => requireOwnDisks(with_([own]), log, elsewhere));
  t.same(sharedDisks(with_([{ ...own, isRequired: false }])), [], 'twin: one that is not required');
  t.same(
    sharedDisks(
      with_([{ type: 'https', name: 'far', isRequired: true, url: 'https://w.example/', ca: null, token: null }]),
    ),
    [],
  );
  const store = { ...with_([own]), storeDirectory: '/elsewhere', database: { ...config.database, embedded: false } };
  t.same(
    sharedDisks(store, (path) => (path.startsWith('/elsewhere') ? 3 : 1)),
    [],
    'twin: objects and database on others',
  );
  t.end();
});
