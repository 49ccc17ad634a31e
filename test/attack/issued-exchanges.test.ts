// A signature counts once, and only for a session identifier that the warden issued to this node for this connection.
import { createPublicKey, randomBytes, randomUUID, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { keyExchangeMethods } from '../../server/domain/algorithms.ts';
import { WireReader } from '../../server/domain/ssh-wire.ts';
import { attempt, connectAs, hashOf, transcript, UserKey } from '../support/impostor.ts';
import { startWorld } from '../support/world.ts';

test('what a compromised edge can do with signatures of its customers', async (t) => {
  const world = await startWorld(t);
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  const key = new UserKey();
  t.equal((await world.cofferctl(['key', 'add', 'globex-batch', '--file', '-'], key.line)).code, 0);
  const name = 'globex-batch';
  const still = [...world.pidsOf('partner-1'), ...world.pidsOf('internal-1')];
  for (const pid of still) process.kill(pid, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of still) process.kill(pid, 'SIGCONT');
  });
  const peer = connectAs(paths.wardenSocket('partner-1'));
  const other = connectAs(paths.wardenSocket('internal-1'));
  t.teardown(() => {
    peer.close();
    other.close();
  });
  await t.rejects(
    peer.call('exchange.sign', transcript('00'.repeat(8))),
    { code: 'invalid' },
    'before the greeting nothing is signed',
  );
  const { challenge, hostKeys } = await peer.call('node.hello', { protocol: 1, startId: randomUUID() });
  await other.call('node.hello', { protocol: 1, startId: randomUUID() });
  t.notMatch(JSON.stringify(hostKeys), /PRIVATE/, 'the greeting holds public halves only');

  for (const hostKeyAlgorithm of ['ssh-ed25519', 'ecdsa-sha2-nistp256'] as const) {
    const first = transcript(challenge, { hostKeyAlgorithm });
    const signed = await peer.call('exchange.sign', first);
    const reader = new WireReader(Buffer.from(signed.hostKey, 'base64'));
    t.equal(reader.text(), hostKeyAlgorithm, `${hostKeyAlgorithm}: the warden's own key`);
    const point =
      hostKeyAlgorithm === 'ssh-ed25519'
        ? Buffer.from(reader.string())
        : Buffer.from([...reader.string(), ...reader.string()].slice(-65));
    const url = (bytes: Buffer): string => bytes.toString('base64url');
    const publicKey = createPublicKey({
      key:
        hostKeyAlgorithm === 'ssh-ed25519'
          ? { kty: 'OKP', crv: 'Ed25519', x: url(point) }
          : { kty: 'EC', crv: 'P-256', x: url(point.subarray(1, 33)), y: url(point.subarray(33)) },
      format: 'jwk',
    });
    const digest = hostKeyAlgorithm === 'ssh-ed25519' ? null : 'sha256';
    t.ok(
      verify(digest, hashOf(first, signed), publicKey, Buffer.from(signed.signature, 'base64')),
      'signs the hash over all fields',
    );
    const rekeyed = transcript(challenge, { hostKeyAlgorithm, connection: first.connection, isFirst: false });
    await peer.call('exchange.sign', rekeyed);
    const late = key.evidence(
      name,
      hashOf(rekeyed, await peer.call('exchange.sign', transcript(challenge, { isFirst: false }))),
    );
    t.equal(
      (await attempt(peer, first.connection, name, late)).outcome,
      'refused',
      'the hash of a rekey is no session identifier',
    );
    const good = await attempt(peer, first.connection, name, key.evidence(name, hashOf(first, signed)));
    t.equal(good.outcome, 'accepted', 'the allow twin: the issued one is');
    const again = await attempt(peer, first.connection, name, key.evidence(name, hashOf(first, signed)));
    t.equal(again.outcome, 'closed', 'a second use after the login ended');
    await t.rejects(peer.call('exchange.sign', first), { code: 'invalid' }, 'the same exchange is not signed twice');
    await t.rejects(
      peer.call('exchange.sign', { ...first, connection: randomUUID() }),
      { code: 'invalid' },
      'nor for another connection: a recorded signature cannot be brought back',
    );
  }

  const exchange = transcript(challenge);
  const identifier = hashOf(exchange, await peer.call('exchange.sign', exchange));
  const relayed = key.evidence(name, randomBytes(32));
  t.equal(
    (await attempt(peer, exchange.connection, name, relayed)).outcome,
    'refused',
    'a signature made for another server',
  );
  t.equal(
    (await attempt(peer, randomUUID(), name, key.evidence(name, identifier))).outcome,
    'closed',
    'an identifier that was not issued for it',
  );
  t.equal(
    (await attempt(other, exchange.connection, name, key.evidence(name, identifier))).outcome,
    'closed',
    "another node's identifier",
  );
  await t.rejects(
    peer.call('exchange.sign', transcript(challenge, { connection: exchange.connection })),
    { code: 'invalid' },
    'a connection has one identifier',
  );
  await peer.call('login.abandon', { connection: exchange.connection });
  t.equal(
    (await attempt(peer, exchange.connection, name, key.evidence(name, identifier))).outcome,
    'closed',
    'after the connection went away',
  );

  const bad: readonly (readonly [string, Parameters<typeof transcript>[1]])[] = [
    ['a cookie of another time', { serverKexInit: transcript('11'.repeat(8)).serverKexInit }],
    [
      'an identification that is not ours',
      { serverIdentification: Buffer.from('SSH-2.0-OpenSSH_9.2').toString('base64') },
    ],
    ['a client line with a line break', { clientIdentification: Buffer.from('SSH-2.0-x\r\nSSH').toString('base64') }],
    ['no KEXINIT of the client', { clientKexInit: Buffer.from([21, 0]).toString('base64') }],
    ['a method outside the profile', { keyExchange: 'diffie-hellman-group14-sha256' }],
  ];
  for (const [what, change] of bad)
    await t.rejects(peer.call('exchange.sign', transcript(challenge, change)), { code: 'invalid' }, what);
  for (const keyExchange of keyExchangeMethods.filter((method) => !method.startsWith('diffie')))
    t.ok((await peer.call('exchange.sign', transcript(challenge, { keyExchange }))).signature, keyExchange);

  let refused = 0;
  for (let round = 0; round < 40; round += 1) {
    const asked = Array.from({ length: 100 }, () =>
      peer.call('exchange.sign', transcript(challenge, { isFirst: false })).catch(() => {
        refused += 1;
      }),
    );
    await Promise.all(asked);
  }
  t.ok(refused > 0, `a node that floods signatures is held back (${refused} of 4,000)`);
});
