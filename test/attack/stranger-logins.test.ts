// T-19, T-35: strangers without any credential ask and guess until nothing more is accepted from them; whoever logs in
// from a known source is served all the time.
import { randomBytes } from 'node:crypto';
import { test } from 'tap';
import { wireString } from '../../server/domain/ssh-wire.ts';
import { message, RawClient } from '../support/raw-client.ts';
import { startWorld } from '../support/world.ts';

const accepted = 52;
const failure = 51;
const keyAcceptable = 60;
const blob = Buffer.concat([wireString('ssh-ed25519'), wireString(randomBytes(32))]);

test('a flood of strangers is refused separately', async (t) => {
  const small = { atOnce: 40, perMinute: 1 };
  // Seven: the first login from a place is that of a stranger, too.
  const perNode = {
    logins: small,
    strangers: { atOnce: 7, perMinute: 1 },
    strangerNetwork: { atOnce: 3, perMinute: 1 },
  };
  const world = await startWorld(t, { env: { COFFERDAM_PER_NODE: JSON.stringify(perNode) } });
  const honest = async (): Promise<number | null> => (await world.sftp('acme-batch', ['ls'])).code;
  t.equal(await honest(), 0, 'from here somebody logs in');

  const stranger = async (localAddress: string, name: string): Promise<RawClient> => {
    const client = await RawClient.open({ port: world.demo.partner.port, localAddress });
    t.teardown(() => client.close());
    t.ok(await client.ready);
    client.send(message(5, 'ssh-userauth'));
    await client.next(6);
    client.send(message(50, name, 'ssh-connection', 'none'));
    t.ok(await client.next(failure), 'it is told how one may log in');
    return client;
  };
  let answered = 0;
  for (let i = 0; i < 4; i += 1) {
    const client = await stranger(`127.0.${i + 1}.1`, `nobody-${i}`);
    for (let k = 0; k < 18; k += 1) {
      client.send(
        message(50, `nobody-${i}`, 'ssh-connection', 'publickey', Uint8Array.of(0), 'ssh-ed25519', wireString(blob)),
      );
      if ((await client.next(keyAcceptable)) !== undefined) answered += 1;
    }
  }
  t.equal(answered, 4 * 18, 'more questions than all strangers have proofs: each is answered, and takes nothing');

  const guesses = async (localAddress: string): Promise<number> => {
    const client = await stranger(localAddress, 'nobody');
    for (let count = 0; ; count += 1) {
      client.send(message(50, 'nobody', 'ssh-connection', 'password', Uint8Array.of(0), `wrong-${count}`));
      const answer = await client.next(failure, accepted);
      if (answer === undefined) return count;
      t.equal(answer[0], failure);
    }
  };
  const started = performance.now();
  const had = (count: number, most: number, text: string): void => {
    const sinceThen = Math.ceil((performance.now() - started) / 60_000);
    t.ok(count >= most && count <= most + sinceThen, `${text} (${count})`);
  };
  had(await guesses('127.0.9.1'), 3, 'a network of strangers has a part');
  had(await guesses('127.0.9.2'), 0, 'as a whole');
  had(await guesses('127.0.10.1'), 3, 'and another one its own');
  had(await guesses('127.0.11.1'), 0, 'until all strangers have had theirs');
  for (let i = 0; i < 5; i += 1) t.equal(await honest(), 0, 'whoever logs in from a known source is served');

  const { alerts } = await world.cofferctlJson<{ alerts: readonly { kind: string; severity: string; text: string }[] }>(
    ['alert', 'list'],
  );
  t.match(
    alerts.filter((one) => one.kind === 'node.over-allowance'),
    [{ severity: 'warning', text: /^strangers flood partner-1/ }],
    'a flood is no taken edge',
  );
});
