// T-34: what waits in uploads is in the channel's account, however many files one session writes at once and however
// slow the store and the warden are.
import { randomBytes } from 'node:crypto';
import { t as file, test } from 'tap';
import { Filling } from '../../server/edge/sftp/filling.ts';
import { Upload, type UploadContext } from '../../server/edge/sftp/upload.ts';
import { BufferReserve } from '../../server/edge/transport/buffer-reserve.ts';
import { edgeProcess, ScriptedWarden, uploadContext } from '../support/scripted-warden.ts';

const edge = await edgeProcess(file);
const MiB = 2 ** 20;
const mode = { continue: true, exclusive: false, mustExist: false, appends: false };
const files = 62;
const piece = randomBytes(32_768);
/** A channel's maximum for segments of uploads, and what one more WRITE takes. */
const boundBytes = 10 * MiB + 256 * 1024;

/** Files of one session: one account, and one place where they are filled. */
function sessionOf(account: ReturnType<BufferReserve['account']>): (warden: ScriptedWarden) => Promise<Upload> {
  const filling = new Filling(account, edge.store);
  const context = (warden: ScriptedWarden): UploadContext => uploadContext(edge, warden, account, filling);
  return (warden) => Upload.open(context(warden), ['deposit', 'f'], mode);
}
const roomOf = (upload: Upload): Promise<void> =>
  new Promise((resolve) => {
    upload.onRoom = resolve;
  });
const sealed = (warden: ScriptedWarden): number => warden.asked.filter((op) => op === 'upload.seal-extent').length;

test('many files at once behind a warden that does not answer: held back, and given back in the end', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  let answer = (): void => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const wardens = Array.from({ length: files }, () => new ScriptedWarden());
  const open = sessionOf(reserve.account());
  const uploads = await Promise.all(
    wardens.map((warden) => {
      warden.faults.set('upload.seal-extent', () => answered);
      warden.faults.set('upload.begin-extent', () => answered);
      return open(warden);
    }),
  );
  const written = uploads.map(() => 0);
  // As a session does: each WRITE to whichever file accepts more, until none does.
  for (let isGoing = true; isGoing; ) {
    isGoing = false;
    for (const [at, upload] of uploads.entries()) {
      if (upload.isFull || (written[at] ?? 0) >= 4 * MiB) continue;
      upload.write(written[at] ?? 0, [piece]);
      written[at] = (written[at] ?? 0) + piece.length;
      isGoing = true;
    }
  }
  t.ok(
    reserve.totals.uploads <= boundBytes,
    `${Math.round(reserve.totals.uploads / MiB)} MiB are kept for one channel`,
  );
  t.ok(
    written.some((bytes) => bytes < 4 * MiB),
    'some were held back',
  );
  answer();
  await Promise.all(uploads.map((upload) => upload.close()));
  for (const [at, warden] of wardens.entries()) t.equal(warden.closed?.size, written[at], 'each file is whole');
  t.equal(reserve.totals.uploads, 0, 'and nothing is left in the account');
});

test('a failed upload gives back what it had', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  const warden = new ScriptedWarden();
  const upload = await sessionOf(reserve.account())(warden);
  upload.write(0, [piece]);
  t.equal(reserve.totals.uploads, piece.length);
  t.throws(() => upload.write(0, [piece]), /cannot be overwritten/);
  await t.rejects(upload.close());
  t.equal(reserve.totals.uploads, 0);
});

test('readers that stall cost no upload anything: one extent is one extent', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  // Their segments are kept to the last byte of what the process has for them.
  for (let i = 0; i < 20; i += 1) reserve.account().addSegments(10 * MiB);
  const warden = new ScriptedWarden();
  const upload = await sessionOf(reserve.account())(warden);
  for (let at = 0; at < 4 * MiB; at += piece.length) {
    while (upload.isFull) await roomOf(upload);
    upload.write(at, [piece]);
  }
  await upload.close();
  t.equal(warden.closed?.size, 4 * MiB);
  t.equal(
    warden.asked.filter((op) => op === 'upload.seal-extent' || op === 'upload.begin-extent').length,
    0,
    'its only extent comes with the close',
  );
});

test('uploads that stall hold another one back to its minimum, and make it cut nothing short', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  for (let i = 0; i < 20; i += 1) reserve.account().addUploads(10 * MiB);
  const warden = new ScriptedWarden();
  const upload = await sessionOf(reserve.account())(warden);
  let held = 0;
  for (let at = 0; at < 4 * MiB; at += piece.length) {
    for (; upload.isFull; held += 1) await roomOf(upload);
    upload.write(at, [piece]);
  }
  await upload.close();
  t.equal(warden.closed?.size, 4 * MiB);
  t.ok(held > 0, 'it waited for its own segments');
  t.equal(sealed(warden), 0);
});

test('many files in turn: the longest pieces are sealed, so that an extent is as long as the room for all of them allows', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  const open = sessionOf(reserve.account());
  const wardens = Array.from({ length: files }, () => new ScriptedWarden());
  const uploads = await Promise.all(wardens.map(open));
  let most = 0;
  const bytes = 24 * piece.length;
  for (let at = 0; at < bytes; at += piece.length)
    for (const upload of uploads) {
      // Meanwhile the session accepts nothing more for any of them.
      while (upload.isFull) await roomOf(upload);
      upload.write(at, [piece]);
      most = Math.max(most, reserve.totals.uploads);
    }
  await Promise.all(uploads.map((upload) => upload.close()));
  t.ok(most <= boundBytes, `${most} bytes were kept`);
  for (const warden of wardens) {
    t.equal(warden.closed?.size, bytes);
    const short = warden.sealedBytes.slice(0, -1);
    t.ok(
      short.every((one) => one >= 64 * 1024),
      `extents of ${warden.sealedBytes.join(', ')} bytes`,
    );
  }
  t.equal(reserve.totals.uploads, 0);
});

test('a byte in each of many files costs a page for each, also after whole segments', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  const open = sessionOf(reserve.account());
  const wardens = Array.from({ length: files }, () => new ScriptedWarden());
  const uploads = await Promise.all(wardens.map(open));
  for (const upload of uploads) upload.write(0, [Buffer.of(1)]);
  t.equal(reserve.totals.uploads, files * 4096);
  const segment = randomBytes(256 * 1024);
  for (const upload of uploads) {
    upload.write(1, [segment]);
    while (upload.isFull) await roomOf(upload);
  }
  // Full segments are on their way and will give their room back; of each file a few bytes are kept.
  for (const end = Date.now() + 20_000; reserve.totals.uploads > 10 * MiB && Date.now() < end; )
    await new Promise((wake) => setTimeout(wake, 5));
  t.ok(reserve.totals.uploads <= 10 * MiB, `${reserve.totals.uploads} bytes`);
  t.equal(
    wardens.reduce((sum, warden) => sum + sealed(warden), 0),
    0,
    'and no extent was cut short for it',
  );
  await Promise.all(uploads.map((upload) => upload.close()));
  t.equal(reserve.totals.uploads, 0);
});

test('the text of a small extent is counted until the warden has it', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  const warden = new ScriptedWarden();
  const upload = await sessionOf(reserve.account())(warden);
  let answer = (): void => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  warden.faults.set('upload.seal-extent', () => answered);
  upload.write(0, [piece]);
  const synced = upload.sync();
  for (const end = Date.now() + 20_000; sealed(warden) === 0 && Date.now() < end; )
    await new Promise((wake) => setTimeout(wake, 5));
  t.ok(reserve.totals.uploads >= 3 * piece.length, `${reserve.totals.uploads} bytes`);
  answer();
  await synced;
  t.equal(reserve.totals.uploads, 0);
  await upload.close();
});

test('short of room: buffers shrink to their content first, then the longest piece is sealed, unless something is on its way', (t) => {
  let bytes = 0;
  const account = { addUploads: (more: number) => (bytes += more), hasUploadRoom: false };
  const filling = new Filling(account, edge.store);
  const done: string[] = [];
  const fillers = [10, 90_000, 50_000].map((filledBytes) => {
    const filler = {
      filledBytes,
      fit: () => done.push(`fit ${filledBytes}`),
      seal: () => {
        done.push(`seal ${filledBytes}`);
        filling.sent(128 * 1024);
      },
      wake: () => done.push(`wake ${filledBytes}`),
    };
    filling.join(filler);
    filling.take(filledBytes);
    return filler;
  });
  t.equal(bytes, 4096 + 131_072 + 65_536);
  const fits = fillers.map((one) => `fit ${one.filledBytes}`);
  filling.relieve();
  t.same(done.splice(0, done.length), [...fits, 'seal 90000'], 'half of what is kept is on its way then');
  filling.relieve();
  t.same(done.splice(0, done.length), fits);
  filling.arrived(128 * 1024);
  t.same(
    done.splice(0, done.length),
    fillers.map((one) => `wake ${one.filledBytes}`),
    'all hear of the room',
  );
  account.hasUploadRoom = true;
  filling.relieve();
  t.same(done, [], 'with room nothing is done');
  t.end();
});

test('an extent that was ended for want of room says so; its tail and a full one do not: they have another price', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  const said: { readonly op: string; readonly bytes: number; readonly isCut: unknown }[] = [];
  const wardens = Array.from({ length: files }, () => {
    const warden = new ScriptedWarden();
    const { call } = warden;
    warden.call = (op, params) => {
      const given = params as {
        readonly extent?: { bytes: number; isCut?: true };
        readonly lastExtent?: { bytes: number; isCut?: true };
      };
      const extent = given.extent ?? given.lastExtent;
      if (extent !== undefined) said.push({ op, bytes: extent.bytes, isCut: extent.isCut });
      return call(op, params);
    };
    warden.callRepeatable = warden.call;
    return warden;
  });
  const open = sessionOf(reserve.account());
  const uploads = await Promise.all(wardens.map((warden) => open(warden)));
  for (let at = 0; at < 4 * MiB; at += piece.length)
    for (const upload of uploads) {
      for (let waits = 0; upload.isFull && waits < 1000; waits += 1)
        await new Promise((resolve) => setTimeout(resolve, 5));
      upload.write(at, [piece]);
    }
  await Promise.all(uploads.map((upload) => upload.close()));
  for (const [at, warden] of wardens.entries()) t.equal(warden.closed?.size, 4 * MiB, `file ${at} is whole`);
  const cut = said.filter((one) => one.op === 'upload.seal-extent');
  t.ok(cut.length > 0, 'some extents were ended for want of room');
  t.same([...new Set(cut.map((one) => one.isCut))], [true], 'each of them says so');
  const last = said.filter((one) => one.op === 'upload.close');
  t.ok(last.length > 0, 'tails came with the close');
  t.same([...new Set(last.map((one) => one.isCut))], [undefined], 'none of them does');
});
