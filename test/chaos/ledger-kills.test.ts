import { test } from 'tap';
import { ledgerKills } from './ledger-kills.ts';

test('25 kills of sealers, writers, connections and the server: no false alarm, nothing committed is missing or twice; what is changed is found', async (t) => {
  const outcome = await ledgerKills(25, 5);
  t.comment(JSON.stringify({ ...outcome, faults: [] }));
  t.same(outcome.faults, []);
  t.equal(outcome.falseAlarms + outcome.missing + outcome.twice, 0);
  t.match([outcome.tampers, outcome.found], [5, 5], 'tampering was found each time');
  t.ok(outcome.acknowledged > 100 && outcome.entries > 100, `${outcome.acknowledged} entries acknowledged, ${outcome.entries} sealed`);
});
