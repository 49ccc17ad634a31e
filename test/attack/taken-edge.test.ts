// T-24: a client of the warden's socket, with the edge's own rights, asks for what is not its own.
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { ticketBytes } from '../../server/extents/object-tickets.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import type { Evidence } from '../../server/rpc/edge-warden.ts';
import { attempt, connectAs, hashOf, transcript, UserKey } from '../support/impostor.ts';
import { durableOf, StoreClient } from '../support/store-client.ts';
import { startWorld } from '../support/world.ts';

test('objects that were not issued cannot be sealed, overwritten or deleted; tokens of others are worthless', async (t) => {
  const world = await startWorld(t);
  const local = join(world.directory, 'big');
  const content = randomBytes(1_000_000);
  writeFileSync(local, content);
  t.equal((await world.sftp('acme-batch', [`put ${local} deposit/big`])).code, 0);
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  const prefix = readdirSync(paths.objects).find((name) => name.length === 2);
  const [objectId] = readdirSync(join(paths.objects, prefix ?? ''));
  const object = join(paths.objects, prefix ?? '', objectId ?? '');
  const before = readFileSync(object);

  // The real edges are stopped and lose their places to the test, as they would to code running inside them.
  const still = [...world.pidsOf('partner-1'), ...world.pidsOf('internal-1')];
  for (const pid of still) process.kill(pid, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of still) process.kill(pid, 'SIGCONT');
  });
  const peer = connectAs(paths.wardenSocket('partner-1'));
  t.teardown(() => peer.close());
  const { challenge } = await peer.call('node.hello', { protocol: 1, startId: randomUUID() });
  const token = randomBytes(32).toString('base64url');
  const upload = randomUUID();
  const bytes = 500_000;
  const store = await StoreClient.connect(paths.storeSocket('partner-1'));
  t.teardown(() => store.close());
  t.same(
    await store.put(randomBytes(ticketBytes).toString('base64'), randomBytes(sealedLength(bytes))),
    { kind: 'failed', failure: 'denied' },
    'without a ticket nothing can be put, and no ticket names a stored object',
  );
  const invented = { digest: randomBytes(32).toString('base64'), acknowledgement: randomBytes(32).toString('base64') };
  const extent = { index: 0, objectId: objectId ?? '', bytes, sealedBytes: sealedLength(bytes), durable: invented };
  const asks: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['stat', () => peer.call('tree.stat', { token, path: [] })],
    ['list', () => peer.call('tree.list', { token, path: ['deposit'], limit: 10 })],
    ['download', () => peer.call('download.open', { token, path: ['deposit', 'big'] })],
    ['grant', () => peer.call('download.grant', { token, download: randomUUID(), index: 0 })],
    ['seal', () => peer.call('upload.seal-extent', { token, upload, extent })],
    [
      'close',
      () =>
        peer.call('upload.close', {
          token,
          upload,
          whole: true,
          size: bytes,
          sha256: 'a'.repeat(64),
          lastExtent: extent,
        }),
    ],
    ['verify', () => peer.call('upload.verify-extent', { token, upload, index: 0 })],
    ['end', () => peer.call('session.end', { token, reason: 'drained', bytesIn: 0, bytesOut: 0 })],
  ];
  for (const [name, asked] of asks) await t.rejects(asked(), { code: 'session-ended' }, name);
  const unproved: readonly Evidence[] = [
    { type: 'answers', answers: ['123456'] },
    { type: 'keyboard-interactive' },
    {
      type: 'public-key',
      algorithm: 'ssh-ed25519',
      key: Buffer.alloc(51).toString('base64'),
      signature: Buffer.alloc(83).toString('base64'),
    },
    { type: 'password', password: 'x' },
    { type: 'none' },
  ];
  for (const evidence of unproved) {
    const issued = transcript(challenge);
    await peer.call('exchange.sign', issued);
    t.equal((await attempt(peer, issued.connection, 'acme', evidence)).outcome, 'refused', evidence.type);
    t.equal(
      (await attempt(peer, randomUUID(), 'acme', evidence)).outcome,
      'closed',
      `${evidence.type} without a key exchange`,
    );
  }

  // With a session that is really its own (a customer logged in on it), objects of others stay out of reach.
  const key = new UserKey();
  t.equal((await world.cofferctl(['key', 'add', 'globex-batch', '--file', '-'], key.line)).code, 0);
  const exchange = transcript(challenge);
  const signed = await peer.call('exchange.sign', exchange);
  const login = await attempt(
    peer,
    exchange.connection,
    'globex-batch',
    key.evidence('globex-batch', hashOf(exchange, signed)),
  );
  if (login.outcome !== 'accepted') throw new Error(`the customer could not log in: ${login.outcome}`);
  const own = login.session.token;
  const opened = await peer.call('upload.open', {
    token: own,
    path: ['deposit', 'x'],
    continue: false,
    exclusive: false,
  });
  await t.rejects(
    peer.call('upload.seal-extent', { token: own, upload: opened.upload, extent }),
    { code: 'invalid' },
    'the id of a sealed object is not taken for a fresh one',
  );
  await t.rejects(
    peer.call('upload.close', {
      token: own,
      upload: opened.upload,
      whole: true,
      size: bytes,
      sha256: 'a'.repeat(64),
      lastExtent: extent,
    }),
    { code: 'invalid' },
  );
  for (const name of ['../../../secrets/warden/master.key', '..', '/etc/passwd', 'A'.repeat(32)])
    await t.rejects(
      peer.call('upload.seal-extent', { token: own, upload: opened.upload, extent: { ...extent, objectId: name } }),
      { code: 'invalid' },
      `object id ${name}`,
    );
  const issued = { ...extent, objectId: opened.firstExtent.objectId };
  await t.rejects(
    peer.call('upload.seal-extent', { token: own, upload: opened.upload, extent: issued }),
    { code: 'invalid' },
    'an issued object that was never written',
  );
  const durable = durableOf(await store.put(opened.firstExtent.ticket, randomBytes(sealedLength(bytes))));
  await t.rejects(
    peer.call('upload.seal-extent', { token: own, upload: opened.upload, extent: { ...extent, durable } }),
    { code: 'invalid' },
    'a sealed object with what the store said of another one',
  );
  const sealed = { token: own, upload: opened.upload, extent: { ...issued, durable } };
  t.equal((await peer.call('upload.seal-extent', sealed)).storedBytes, bytes, 'the allow twin: its own object');
  for (const path of [['acme'], ['acme', 'deposit'], ['deposit', 'big'], ['..', 'acme', 'deposit', 'big']])
    await t.rejects(peer.call('tree.stat', { token: own, path }), `stat ${path.join('/')}`);
  await t.rejects(peer.call('download.open', { token: own, path: ['deposit', 'big'] }), { code: 'not-found' });
  t.ok(existsSync(object) && readFileSync(object).equals(before), "the other customer's object is as it was");

  // On the other plane's socket the token is worth nothing.
  const internal = connectAs(paths.wardenSocket('internal-1'));
  t.teardown(() => internal.close());
  await internal.call('node.hello', { protocol: 1, startId: randomUUID() });
  await t.rejects(
    internal.call('tree.stat', { token: own, path: [] }),
    { code: 'session-ended' },
    'a session belongs to the node that opened it',
  );
  t.equal((await peer.call('tree.stat', { token: own, path: [] })).kind, 'directory', 'and works where it belongs');
});
