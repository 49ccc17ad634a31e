// T-34: one file that is read, whatever its extents are. A READ is answered as a whole, keys are asked for side by
// side, and a closed file releases what it kept.
import { randomBytes, randomUUID } from 'node:crypto';
import { t as file, test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { Download, extentsAtOnceMax } from '../../server/edge/sftp/download.ts';
import { SegmentShelf } from '../../server/edge/sftp/segment-shelf.ts';
import { Turns } from '../../server/edge/sftp/turns.ts';
import type { UploadContext } from '../../server/edge/sftp/upload.ts';
import { BufferReserve } from '../../server/edge/transport/buffer-reserve.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { edgeProcess, ScriptedWarden, uploadContext } from '../support/scripted-warden.ts';
import { sealedExtent } from '../support/sealed-extent.ts';

const edge = await edgeProcess(file);
const base64 = (bytes: Buffer): string => bytes.toString('base64');

/**
 * A warden that has `plain` in extents of these lengths, all of them stored in their rows, and tells of the first
 * `told` of them at OPEN.
 */
function holding(plain: Buffer, lengths: readonly number[], told = 0) {
  const warden = new ScriptedWarden();
  const seen = { underWay: 0, most: 0, granted: [] as number[] };
  let offset = 0;
  const extents = lengths.map((bytes, index) => {
    const extent = { index, offset, bytes };
    offset += bytes;
    return extent;
  });
  warden.answer('download.open', () => ({
    download: randomUUID(),
    customer: randomUUID(),
    size: offset,
    modifiedAt: 0,
    extents: extents.slice(0, told),
  }));
  warden.answer('download.locate', ({ offset: from }: { offset: number }) => ({
    extents: extents.filter((one) => one.offset + one.bytes > from).slice(0, 256),
  }));
  warden.answer('download.close', () => ({}));
  warden.answer('download.grant', async ({ index }: { index: number }) => {
    seen.granted.push(index);
    seen.underWay += 1;
    seen.most = Math.max(seen.most, seen.underWay);
    await new Promise((resolve) => setTimeout(resolve, 2));
    seen.underWay -= 1;
    const one = extents[index] ?? { offset: 0, bytes: 0 };
    const [key, context] = [randomBytes(32), randomBytes(20)];
    const sealed = sealedExtent(key, context, plain.subarray(one.offset, one.offset + one.bytes));
    const objectId = randomBytes(16).toString('hex');
    const granted = { index, objectId, key: base64(key), context: base64(context), bytes: one.bytes };
    return { ...granted, sealedBytes: sealedLength(one.bytes), inline: base64(sealed) };
  });
  return { warden, seen };
}
const fetched = async (download: Download, offset: number, length: number): Promise<Buffer> =>
  Buffer.concat(await download.read(offset, length));

test('a READ of a file of single-byte extents is answered as a whole; a bounded number of extents is opened side by side', async (t) => {
  const plain = randomBytes(300);
  const { warden, seen } = holding(plain, Array<number>(plain.length).fill(1));
  const download = await Download.open(uploadContext(edge, warden), ['collect', 'f']);
  t.same(await fetched(download, 0, 100), plain.subarray(0, 100), 'not short in the middle of the file');
  t.equal(seen.granted.length, 100, 'a key for each and for none besides');
  t.equal(seen.most, extentsAtOnceMax, 'asked for at once');
  t.same(await fetched(download, 100, 32_768), plain.subarray(100), 'short only at the end');
  t.same(
    [...seen.granted].sort((a, b) => a - b),
    [...plain.keys()],
    'each extent was asked for once',
  );
  t.equal((await fetched(download, plain.length, 100)).length, 0, 'and then it is over');
  await download.close('client');
});

test('what OPEN told of is read without asking where it is', async (t) => {
  const plain = randomBytes(3000);
  for (const [lengths, told, asked] of [
    [[3000], 1, 0],
    [[1000, 2000], 1, 1],
    [[3000], 0, 1],
  ] as const) {
    const { warden } = holding(plain, lengths, told);
    const download = await Download.open(uploadContext(edge, warden), ['collect', 'f']);
    t.same(await fetched(download, 0, 32_768), plain, `${lengths}: the whole file`);
    t.equal(warden.asked.filter((op) => op === 'download.locate').length, asked, `${told} of ${lengths.length} told`);
    await download.close('client');
  }
});

test('many such READs at once: a session asks for a bounded number of keys at a time', async (t) => {
  const plain = randomBytes(400);
  const { warden, seen } = holding(plain, Array<number>(plain.length).fill(1));
  const download = await Download.open({ ...uploadContext(edge, warden), grants: new Turns(8) }, ['collect', 'f']);
  const parts = await Promise.all([0, 32, 64, 96].map((at) => fetched(download, at, 32)));
  t.same(Buffer.concat(parts), plain.subarray(0, 128));
  t.equal(seen.most, 8);
  await download.close('client');
});

test('a READ over extents of ordinary length is answered as a whole', async (t) => {
  const plain = randomBytes(8 * 60_000);
  const { warden, seen } = holding(plain, Array<number>(8).fill(60_000));
  const download = await Download.open(uploadContext(edge, warden), ['collect', 'f']);
  for (const [offset, length] of [
    [0, 261_120],
    [59_999, 2],
    [100_000, 261_120],
    [470_000, 261_120],
  ] as const)
    t.same(
      await fetched(download, offset, length),
      plain.subarray(offset, offset + length),
      `${length} bytes at ${offset}`,
    );
  t.ok(seen.granted.length >= 8);
  await download.close('client');
  await t.rejects(download.read(0, 1), /closed/);
});

test('a refused key fails only the READ that needs it; what comes before it can still be read', async (t) => {
  const plain = randomBytes(40);
  const { warden } = holding(plain, Array<number>(4).fill(10));
  const download = await Download.open(uploadContext(edge, warden), ['collect', 'f']);
  warden.faults.set('download.grant', (nth) => {
    if (nth === 3) throw new Error('refused');
  });
  await t.rejects(download.read(0, 40), /refused/);
  warden.faults.clear();
  t.same(await fetched(download, 0, 40), plain, 'the next READ asks again');
  await download.close('client');

  // Of a file of one extent nothing else pushes the refused one out of its place.
  const { warden: other } = holding(plain, [40]);
  const single = await Download.open(uploadContext(edge, other), ['collect', 'f']);
  other.faults.set('download.grant', (nth) => {
    if (nth <= 2) throw new Error('refused');
  });
  for (const offset of [0, 20]) await t.rejects(single.read(offset, 20), /refused/);
  t.same(await fetched(single, 0, 40), plain, 'as often as it was refused');
  await single.close('client');
});

test('what is kept of a file is counted by its bytes, and released when the file is closed', async (t) => {
  const reserve = new BufferReserve(512 * 2 ** 20);
  const plain = randomBytes(120_000);
  const { warden } = holding(plain, [60_000, 60_000]);
  const context = { ...uploadContext(edge, warden), shelf: new SegmentShelf(reserve.account()) };
  const download = await Download.open(context, ['collect', 'f']);
  await download.read(0, 120_000);
  t.ok(
    reserve.totals.segments >= plain.length && reserve.totals.segments < plain.length + 2000,
    `${reserve.totals.segments} bytes`,
  );
  await download.close('client');
  t.equal(reserve.totals.segments, 0);
});

test('READs at distant positions of one file, side by side: each finds its own extents', async (t) => {
  const plain = randomBytes(1200);
  const { warden } = holding(plain, Array<number>(plain.length).fill(1));
  const download = await Download.open(uploadContext(edge, warden), ['collect', 'f']);
  const places = [0, 600, 1199, 100, 900];
  const bytes = await Promise.all(places.map((at) => fetched(download, at, 1)));
  t.same(
    bytes,
    places.map((at) => plain.subarray(at, at + 1)),
  );
  await download.close('client');
});

const behind = (): CofferdamError => new CofferdamError('unavailable', 'the record is behind; try again in a moment');
const patient = (warden: ScriptedWarden, limits: Readonly<Record<string, number>>): UploadContext => {
  const context = uploadContext(edge, warden);
  return { ...context, node: { ...context.node, limits: { ...context.node.limits, ...limits } } };
};

test('a READ waits while keys are refused because the record is late, for as long as the record may be late', async (t) => {
  const plain = randomBytes(2000);
  const { warden, seen } = holding(plain, [1000, 1000]);
  warden.faults.set('download.grant', (nth) => (nth <= 2 ? Promise.reject(behind()) : undefined));
  const download = await Download.open(patient(warden, { witnessStopMs: 60_000, wardenRetryMs: 100 }), [
    'collect',
    'f',
  ]);
  t.same(await fetched(download, 0, 2000), plain, 'it is late, and whole');
  t.same(seen.granted, [0, 1], 'each key was given once');
  await download.close('client');
});

test('a READ stops waiting at its limit, at any other refusal, and when its file is closed', async (t) => {
  const { warden } = holding(randomBytes(1000), [1000]);
  let asked = 0;
  warden.faults.set('download.grant', () => {
    asked += 1;
    return Promise.reject(behind());
  });
  const bounded = await Download.open(patient(warden, { witnessStopMs: 1500, wardenRetryMs: 100 }), ['collect', 'f']);
  await t.rejects(fetched(bounded, 0, 10), behind());
  t.ok(asked > 1 && asked < 10, `asked ${asked} times, with pauses`);
  await bounded.close('client');

  const left = await Download.open(patient(warden, { witnessStopMs: 600_000, wardenRetryMs: 100 }), ['collect', 'f']);
  const reading = fetched(left, 0, 10);
  const closing = new Promise((resolve) => setTimeout(resolve, 50)).then(() => left.close('cut'));
  await t.rejects(reading, behind(), 'nobody waits for it any more');
  await closing;

  asked = 0;
  warden.faults.set('download.grant', () => {
    asked += 1;
    return Promise.reject(new CofferdamError('over-limit', 'hourly limit reached'));
  });
  const refused = await Download.open(patient(warden, { witnessStopMs: 600_000, wardenRetryMs: 100 }), [
    'collect',
    'f',
  ]);
  await t.rejects(fetched(refused, 0, 10), { code: 'over-limit' });
  t.equal(asked, 1, 'a budget is not asked again');
  await refused.close('client');
});
