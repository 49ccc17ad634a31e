// T-34: what waits in uploads is in the channel's account, however many files one session writes at once and however slow what is behind them.
import { randomBytes } from 'node:crypto';
import { t as file, test } from 'tap';
import { Upload } from '../../server/edge/sftp/upload.ts';
import { BufferReserve } from '../../server/edge/transport/buffer-reserve.ts';
import { edgeProcess, ScriptedWarden, uploadContext } from '../support/scripted-warden.ts';

const edge = edgeProcess(file);
const MiB = 2 ** 20;
const mode = { continue: true, exclusive: false, appends: false };
const files = 62;
const piece = randomBytes(32_768);
/** A channel's most for segments of uploads, and one segment more for each file that was just written to. */
const boundBytes = 10 * MiB + files * 256 * 1024;

test('many files at once behind a warden that does not answer: held back, and given back in the end', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  let answer = (): void => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const wardens = Array.from({ length: files }, () => new ScriptedWarden());
  const account = reserve.account();
  const uploads = await Promise.all(
    wardens.map((warden) => {
      warden.faults.set('upload.seal-extent', () => answered);
      warden.faults.set('upload.begin-extent', () => answered);
      return Upload.open({ ...uploadContext(edge, warden), buffers: account }, ['deposit', 'f'], mode);
    }),
  );
  const written = uploads.map(() => 0);
  // As a session does: each WRITE to whichever file takes more, until none does.
  for (let isGoing = true; isGoing; ) {
    isGoing = false;
    for (const [at, upload] of uploads.entries()) {
      if (upload.isFull || (written[at] ?? 0) >= 4 * MiB) continue;
      upload.write(written[at] ?? 0, [piece]);
      written[at] = (written[at] ?? 0) + piece.length;
      isGoing = true;
    }
  }
  t.ok(reserve.totals.uploads <= boundBytes, `${Math.round(reserve.totals.uploads / MiB)} MiB are kept for one channel`);
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
  const account = reserve.account();
  const upload = await Upload.open({ ...uploadContext(edge, warden), buffers: account }, ['deposit', 'f'], mode);
  upload.write(0, [piece]);
  t.equal(reserve.totals.uploads, 256 * 1024);
  t.throws(() => upload.write(0, [piece]), /cannot be written again/);
  await t.rejects(upload.close());
  t.equal(reserve.totals.uploads, 0);
});

test('readers that stand still cost no upload anything: one extent is one extent', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  // Their segments are kept to the last byte of what the process has for them.
  for (let i = 0; i < 20; i += 1) reserve.account().addSegments(10 * MiB);
  const warden = new ScriptedWarden();
  const upload = await Upload.open({ ...uploadContext(edge, warden), buffers: reserve.account() }, ['deposit', 'f'], mode);
  for (let at = 0; at < 4 * MiB; at += piece.length) {
    while (upload.isFull)
      await new Promise<void>((resolve) => {
        upload.onRoom = resolve;
      });
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

test('uploads that stand still: another one is held back to its floor, and cuts nothing short', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  for (let i = 0; i < 20; i += 1) reserve.account().addUploads(10 * MiB);
  const warden = new ScriptedWarden();
  const upload = await Upload.open({ ...uploadContext(edge, warden), buffers: reserve.account() }, ['deposit', 'f'], mode);
  let held = 0;
  for (let at = 0; at < 4 * MiB; at += piece.length) {
    for (; upload.isFull; held += 1)
      await new Promise<void>((resolve) => {
        upload.onRoom = resolve;
      });
    upload.write(at, [piece]);
  }
  await upload.close();
  t.equal(warden.closed?.size, 4 * MiB);
  t.ok(held > 0, 'it waited for its own segments');
  t.equal(warden.asked.filter((op) => op === 'upload.seal-extent').length, 0);
});
