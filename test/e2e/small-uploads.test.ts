// Small files by a real client: stored by one call at CLOSE, seen as before by whoever asks in between, kept when an
// fsync was answered, and stored in spite of a warden that is started anew meanwhile.
import { createHash, randomBytes } from 'node:crypto';
import { t as file, test } from 'tap';
import { asOwner } from '../support/as-owner.ts';
import { afresh, RawSftp } from '../support/raw-sftp.ts';
import { holdsSoon } from '../support/until.ts';
import { startWorld } from '../support/world.ts';

const world = await startWorld(file);
const sql = await asOwner(file, world);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const content = randomBytes(3000);
const versions = (name: string) =>
  sql(
    "select v.state, v.size::int, v.upload_id is null as is_let_go, encode(v.sha256, 'hex') as sha256 from version v join file f on f.id = v.file_id where f.name = $1 order by v.number",
    [name],
  );
const entries = (name: string) => sql("select kind from ledger where public ->> 'path' = $1 order by id", [`/${name}`]);

test('a small file is stored at once, and what is asked meanwhile is answered truly', async (t) => {
  const batch = await RawSftp.connect(world, 'acme-batch');
  for (const size of [0, 1, 3000, 65_536, 65_537]) {
    const whole = randomBytes(size);
    t.same(await batch.put(`/deposit/of-${size}`, whole), { code: 0, text: '' });
    t.match(await versions(`of-${size}`), [{ size, sha256: sha256(whole) }], `${size} bytes`);
    t.same(
      (await entries(`of-${size}`)).map(({ kind }) => kind),
      ['upload.opened', 'upload.closed'],
    );
  }
  const handle = await batch.open('/deposit/asked', afresh);
  t.equal((await batch.write(handle, 0, content)).code, 0);
  t.ok(await batch.exists('/deposit/asked'), 'its sender sees it');
  t.equal((await batch.rename('/deposit/asked', '/deposit/renamed')).code, 0, 'and may rename it');
  t.same(await batch.close(handle), { code: 0, text: '' });
  t.match(await versions('renamed'), [{ size: content.length, sha256: sha256(content) }]);
  const taken = await batch.open('/deposit/taken', afresh);
  t.equal((await batch.write(taken, 0, content)).code, 0);
  t.equal((await batch.remove('/deposit/taken')).code, 0, 'what is being written is taken back');
  t.match(await batch.close(taken), { code: 4, text: /taken over or ended/ });
  batch.client.close();
});

test('a cut leaves nothing of a small file, unless an fsync was answered', async (t) => {
  const batch = await RawSftp.connect(world, 'acme-batch');
  const [kept, gone] = [await batch.open('/deposit/kept', afresh), await batch.open('/deposit/gone', afresh)];
  t.same([(await batch.write(kept, 0, content)).code, (await batch.write(gone, 0, content)).code], [0, 0]);
  t.equal((await batch.fsync(kept)).code, 0);
  batch.client.close();
  t.ok(await holdsSoon(async () => (await versions('kept'))[0]?.is_let_go === true));
  t.match(await versions('kept'), [{ state: 'partial', size: content.length }], 'it can be resumed');
  const left = await versions('gone');
  t.ok(left.every(({ size }) => size === 0) || left.length === 0, 'as if it had not begun');
  const again = await RawSftp.connect(world, 'acme-batch');
  t.same(await again.put('/deposit/gone', content), { code: 0, text: '' });
  again.client.close();
});

test('a warden that ends between WRITE and CLOSE: the file is stored all the same', async (t) => {
  const batch = await RawSftp.connect(world, 'acme-batch');
  const handle = await batch.open('/deposit/restarted', afresh);
  t.equal((await batch.write(handle, 0, content)).code, 0);
  world.kill('warden');
  t.same(await batch.close(handle), { code: 0, text: '' });
  t.match((await versions('restarted')).at(-1), { size: content.length, sha256: sha256(content) });
  t.equal((await versions('restarted')).filter((one) => one.sha256 !== null).length, 1, 'once');
  batch.client.close();
});
