// Processes that write the record are killed while the owner of the database touches it.
import { test } from 'tap';
import { ledgerKills } from './ledger-kills.ts';

/**
 * After a number of kills each, the owner of the database touches the record, in ways that fit while the sealers run;
 * `npm run soak:ledger` uses all ways.
 */
const turns = { every: 6, next: 11 };

test('25 kills of sealers, writers, connections and the server: no false alarm, nothing missing or twice, every change found', async (t) => {
  const outcome = await ledgerKills(t, 25, 5, turns);
  t.comment(JSON.stringify({ ...outcome, faults: [] }));
  t.same(outcome.faults, []);
  t.equal(outcome.falseAlarms + outcome.missing + outcome.twice, 0);
  t.match([outcome.tampers, outcome.found], [5, 5], 'tampering was found each time');
  t.match(
    outcome.owner,
    { touched: 4, mustFind: 4, found: 4 },
    `and so is what the owner of the database does: ${JSON.stringify(outcome.owner)}`,
  );
  t.ok(
    outcome.acknowledged > 100 && outcome.entries > 100,
    `${outcome.acknowledged} entries acknowledged, ${outcome.entries} sealed`,
  );
});
