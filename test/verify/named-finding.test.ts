// A verdict names what is wrong with the record, not what somebody wrote into a witness beside it.
import { appendFileSync } from 'node:fs';
import { test } from 'tap';
import { customers, standingWorld } from '../support/standing-world.ts';

test('the changed entry is named, however much junk a witness has', async (t) => {
  const world = await standingWorld(t);
  await world.write(customers[0], 40);
  const today = new Date().toISOString().slice(0, 10);
  appendFileSync(world.fileIn(1, today), '"junk"\n'.repeat(30));
  t.match(await world.run({ state: null }), { verdict: 'bad', text: /line 2: this is not a checkpoint/ }, 'junk alone');
  const [table] = await world.sql.query<{ name: string }>(
    'select tableoid::regclass::text as name from ledger_sealed limit 1',
  );
  await world.tamper(`update ${table?.name} set bytes = 1 where number = 7`);
  t.match(await world.run({ state: null }), { verdict: 'bad', text: /number 7/ });
});

test('a head that was changed is named before junk', async (t) => {
  const world = await standingWorld(t);
  await world.write(customers[0], 40);
  const today = new Date().toISOString().slice(0, 10);
  appendFileSync(world.fileIn(1, today), '"junk"\n'.repeat(30));
  await world.tamper("update ledger_head set at = at + interval '1 second' where position = 0");
  const { verdict, text } = await world.run({ state: null });
  t.equal(verdict, 'bad');
  t.notMatch(text, 'not a checkpoint');
});
