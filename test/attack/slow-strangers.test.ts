// T-34: people have two minutes for a fingerprint and for a code. Strangers who take that time from as many networks as
// there are places keep nobody out for longer than before, and take nothing from whoever has proved a key.
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { disconnectText, RawClient } from '../support/raw-client.ts';
import { startWorld } from '../support/world.ts';

const places = 20;
const shortMs = 4000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('slow strangers from many networks give way to whoever comes', async (t) => {
  const world = await startWorld(t, {
    limits: {
      unauthenticatedConnectionsMax: places,
      unauthenticatedDropFromPercent: 50,
      unprovedPlaceMs: shortMs,
      fingerprintMs: 120_000,
      loginGraceMs: 120_000,
    },
  });
  const { port } = world.demo.partner;
  const pem = (name: string): string => readFileSync(world.keyFile(name), 'utf8');
  const person = await RawClient.open({ port, localAddress: '127.0.0.50' });
  await person.beginLogin();
  person.send(person.authRequest('acme', pem('acme')));
  t.equal((await person.next(51))?.at(-1), 1, 'a person has proved a key, and looks for the code');

  const startedAt = performance.now();
  const strangers = await Promise.all(
    Array.from({ length: places - 1 }, (_, i) =>
      RawClient.open({ port, localAddress: `127.0.${i + 1}.1`, acceptsNoKey: i % 2 === 0 }),
    ),
  );
  await Promise.all(strangers.filter((_, i) => i % 2 === 1).map((one) => one.exchanged()));
  const login = async (localAddress: string): Promise<boolean> => {
    const client = await RawClient.open({ port, localAddress });
    const isIn = await client.login('acme-batch', pem('acme-batch'));
    client.close();
    return isIn;
  };
  const early = await login('127.0.100.1');
  if (performance.now() - startedAt < shortMs) t.notOk(early, 'all places are taken, by others who have as few');
  await sleep(Math.max(0, shortMs + 1000 - (performance.now() - startedAt)));
  for (let i = 0; i < 10; i += 1) t.ok(await login(`127.0.${101 + i}.1`), 'somebody else comes, and is served at once');
  const gone = strangers.filter((one) => one.isClosed);
  t.ok(gone.length >= 1 && gone.length <= 11, `${gone.length} of ${strangers.length} gave way, as many as were needed`);
  const said = await Promise.all(gone.map(async (one) => disconnectText(await one.next(1))));
  for (const words of said) t.match(words, /too many connections have not logged in; connect again/);
  t.equal(person.isClosed, false, 'who proved something keeps the place');
  for (const one of [person, ...strangers]) one.close();
});
