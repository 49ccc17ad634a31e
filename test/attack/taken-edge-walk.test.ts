// T-24, promise 1: code inside a partner edge, with its socket and the token of the one customer who is logged in
// there, asks for everything in any order.
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { type EdgeToWarden, edgeToWarden } from '../../server/rpc/edge-warden.ts';
import { Random } from '../fuzz/mutate.ts';
import { attempt, connectAs, type EdgePeer, hashOf, transcript, UserKey } from '../support/impostor.ts';
import { durableOf, StoreClient } from '../support/store-client.ts';
import { run, sha256File, startWorld, type World } from '../support/world.ts';
import { wideFaultsEnv } from '../support/wrong-forms.ts';

type Operation = keyof EdgeToWarden & string;
const rounds = 1500;

async function loginAs(world: World, peer: EdgePeer, challenge: string, name: string): Promise<string> {
  const key = new UserKey();
  if ((await world.cofferctl(['key', 'add', name, '--file', '-'], key.line)).code !== 0) throw new Error('no key');
  const exchange = transcript(challenge);
  const login = await attempt(
    peer,
    exchange.connection,
    name,
    key.evidence(name, hashOf(exchange, await peer.call('exchange.sign', exchange))),
  );
  if (login.outcome !== 'accepted') throw new Error(`no session: ${login.outcome}`);
  return login.session.token;
}

test('1,500 calls in any order reach nothing of another customer, and floods delay nobody', async (t) => {
  const world = await startWorld(t, { env: wideFaultsEnv });
  const local = join(world.directory, 'secret');
  writeFileSync(local, randomBytes(400_000));
  t.equal((await world.sftp('acme-batch', [`put ${local} deposit/acme-secret.xml`])).code, 0);
  t.equal((await world.sftp('processor', [`put ${local} acme/collect/acme-statement.xml`])).code, 0);
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  const still = [...world.pidsOf('partner-1'), ...world.pidsOf('internal-1')];
  for (const pid of still) process.kill(pid, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of still) process.kill(pid, 'SIGCONT');
  });
  const thief = connectAs(paths.wardenSocket('partner-1'));
  const honest = connectAs(paths.wardenSocket('internal-1'));
  t.teardown(() => {
    thief.close();
    honest.close();
  });
  const hello = await thief.call('node.hello', { protocol: 1, startId: randomUUID() });
  const other = await honest.call('node.hello', { protocol: 1, startId: randomUUID() });
  const own = await loginAs(world, thief, hello.challenge, 'globex-batch');
  // On the other node somebody works with acme's files; their ids and token have leaked.
  const foreign = await loginAs(world, honest, other.challenge, 'processor');
  const download = await honest.call('download.open', { token: foreign, path: ['acme', 'deposit', 'acme-secret.xml'] });
  const upload = await honest.call('upload.open', {
    token: foreign,
    path: ['acme', 'collect', 'x.part'],
    continue: false,
    exclusive: false,
  });
  t.equal(
    (await honest.call('download.grant', { token: foreign, download: download.download, index: 0 })).index,
    0,
    'the allow twin',
  );
  const mine = await thief.call('upload.open', {
    token: own,
    path: ['deposit', 'own.part'],
    continue: false,
    exclusive: false,
  });

  // What the store said of an object of its own, and an object of the other upload with that word or with none.
  const store = await StoreClient.connect(paths.storeSocket('partner-1'));
  t.teardown(() => store.close());
  const bytes = 100_000;
  const sealedBytes = sealedLength(bytes);
  const durable = durableOf(await store.put(mine.firstExtent.ticket, randomBytes(sealedBytes)));
  const foreignPut = await store.put(upload.firstExtent.ticket, randomBytes(sealedBytes));
  t.same(foreignPut, { kind: 'failed', failure: 'denied' }, 'a ticket of the other node puts nothing');
  const extents = [
    { index: 0, objectId: mine.firstExtent.objectId, bytes, sealedBytes, durable },
    { index: 0, objectId: upload.firstExtent.objectId, bytes, sealedBytes, durable },
    { index: 0, objectId: upload.firstExtent.objectId, bytes, sealedBytes },
  ];

  const random = new Random(7);
  const token = (): string => random.pick([own, foreign, randomBytes(32).toString('base64url')]);
  const path = (): string[] =>
    random.pick([
      ['deposit', 'acme-secret.xml'],
      ['collect', 'acme-statement.xml'],
      ['acme', 'deposit', 'acme-secret.xml'],
      ['acme', 'collect', 'acme-statement.xml'],
      ['acme'],
      ['acme', 'collect', 'x.part'],
    ]);
  const anyUpload = (): string => random.pick([upload.upload, mine.upload, randomUUID()]);
  const anyDownload = (): string => random.pick([download.download, randomUUID()]);
  const make: { readonly [K in Operation]: () => unknown } = {
    'node.hello': () => ({ protocol: 2, startId: randomUUID() }),
    'lease.renew': () => ({ sessions: 0, epoch: 0 }),
    'exchange.sign': () => transcript(random.pick([hello.challenge, other.challenge, '00'.repeat(8)])),
    'exchange.prove-host-keys': () => ({ token: token(), hostKeys: [randomBytes(51).toString('base64')] }),
    'login.attempt': () => ({
      connection: randomUUID(),
      source: { address: '127.0.0.1', port: 1 },
      username: random.pick(['acme', 'acme-batch', 'processor']),
      evidence: { type: 'none' },
    }),
    'login.abandon': () => ({ connection: randomUUID() }),
    'session.end': () => ({
      token: random.pick([foreign, randomBytes(32).toString('base64url')]),
      reason: 'idle',
      bytesIn: 0,
      bytesOut: 0,
    }),
    'console.run': () => ({
      token: token(),
      line: random.pick([
        'whoami',
        'windows',
        'keys',
        'unlock acme-batch --for 8h',
        'lock acme-batch',
        'receipt deposit/acme-secret.xml',
        'enroll',
        'keys add',
      ]),
    }),
    'console.input': () => ({ token: token(), text: '123456' }),
    'self-test.begin': () => ({ key: randomBytes(51).toString('base64') }),
    'self-test.code': () => ({}),
    'self-test.report': () => ({ checks: [{ check: 'cap', bites: true, text: 'x' }] }),
    'tree.stat': () => ({ token: token(), path: path() }),
    'tree.space': () => ({ token: token(), path: path() }),
    'tree.list': () => ({ token: token(), path: random.pick([['acme'], ['acme', 'deposit'], []]), limit: 100 }),
    'tree.remove': () => ({ token: token(), path: path() }),
    'tree.rename': () => ({ token: token(), from: path(), to: ['deposit', 'stolen'], replace: true }),
    'tree.make-directory': () => ({ token: token(), path: ['acme', 'collect', 'd'] }),
    'tree.remove-directory': () => ({ token: token(), path: ['acme', 'collect'] }),
    'tree.set-times': () => ({ token: token(), path: path(), modifiedAt: 1 }),
    'upload.open': () => ({
      token: token(),
      path: path().slice(0, 2).concat('acme-secret.xml').slice(-3),
      continue: true,
      exclusive: false,
    }),
    'upload.offer': () => ({
      token: token(),
      path: path().slice(0, 2).concat('acme-secret.xml').slice(-3),
      continue: false,
      exclusive: false,
    }),
    'upload.begin': () => ({
      token: token(),
      upload: anyUpload(),
      path: path().slice(0, 2).concat('acme-secret.xml').slice(-3),
      standing: random.pick([0, 1, 2 ** 31 - 1]),
    }),
    'upload.put': () => ({ token: token(), upload: anyUpload(), whole: true, size: 0, sha256: 'a'.repeat(64) }),
    'upload.begin-extent': () => ({ token: token(), upload: random.pick([upload.upload, randomUUID()]) }),
    'upload.seal-extent': () => ({ token: token(), upload: anyUpload(), extent: random.pick(extents) }),
    'upload.verify-extent': () => ({ token: token(), upload: anyUpload(), index: 0 }),
    'upload.base-extent': () => ({ token: token(), upload: anyUpload(), offset: 0 }),
    'upload.rewrite': () => ({
      token: token(),
      upload: random.pick([upload.upload, randomUUID()]),
      cut: random.pick([true, false]),
    }),
    'upload.close': () => ({
      token: token(),
      upload: anyUpload(),
      whole: true,
      size: bytes,
      sha256: 'a'.repeat(64),
      lastExtent: random.pick(extents),
    }),
    'upload.interrupt': () => ({ token: token(), upload: random.pick([upload.upload, randomUUID()]) }),
    'download.open': () => ({ token: token(), path: path() }),
    'download.locate': () => ({ token: token(), download: anyDownload(), offset: 0 }),
    'download.grant': () => ({ token: token(), download: anyDownload(), index: 0 }),
    'flow.permit': () => ({
      token: token(),
      customer: random.pick([download.customer, randomUUID()]),
      direction: 'out',
      bytes: 1,
    }),
    'download.close': () => ({ token: token(), download: anyDownload(), sentBytes: 1, by: 'client' }),
  };
  const operations = Object.keys(edgeToWarden) as Operation[];
  const reached: string[] = [];
  const defects: string[] = [];
  let refused = 0;
  const leaks = /acme|processor/;
  for (let i = 0; i < rounds; i += 1) {
    const op = random.pick(operations);
    try {
      const result = JSON.stringify(await thief.call(op, make[op]() as never));
      const isOwn = result.includes(mine.firstExtent.objectId);
      if (leaks.test(result) || (result.includes('"key"') && !isOwn)) reached.push(`${op}: ${result.slice(0, 200)}`);
    } catch (error) {
      refused += 1;
      if (error instanceof CofferdamError && error.code === 'bug') defects.push(`${op}: ${error.message}`);
      if (leaks.test(String(error))) reached.push(`${op}: ${String(error)}`);
    }
  }
  t.same(reached, [], `nothing of another customer in ${rounds} answers (${refused} refusals)`);
  t.same(defects, [], 'no internal error');

  // Everything is as it was for its owner: the upload and the download continue, and the files are whole.
  t.equal(
    (await honest.call('download.grant', { token: foreign, download: download.download, index: 0 })).index,
    0,
    "the other node's session lives",
  );
  const names = await honest.call('tree.list', { token: foreign, path: ['acme', 'collect'], limit: 100 });
  t.ok(
    names.entries.some((entry) => entry.name === 'acme-statement.xml'),
    'nothing was removed',
  );

  const started = performance.now();
  let slowest = 0;
  const flood = Array.from({ length: 4000 }, () =>
    thief.call('tree.list', { token: own, path: ['deposit'], limit: 100 }).catch(() => undefined),
  );
  while (performance.now() - started < 1500) {
    const asked = performance.now();
    await honest.call('tree.stat', { token: foreign, path: ['acme'] });
    slowest = Math.max(slowest, performance.now() - asked);
  }
  await Promise.all(flood);
  t.comment(`slowest answer to the other node during a flood: ${Math.round(slowest)} ms`);
  t.ok(slowest < 5000, 'the other node is served during a flood');
  for (const pid of still) process.kill(pid, 'SIGCONT');
  thief.close();
  honest.close();
  let got = await run('true', []);
  for (let tries = 0; tries < 50; tries += 1) {
    got = await world.sftp('processor', [`get acme/deposit/acme-secret.xml ${local}.got`]);
    if (got.code === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  t.equal(got.code, 0, got.err);
  t.equal(await sha256File(`${local}.got`), await sha256File(local), "the other customer's file is whole");
});
