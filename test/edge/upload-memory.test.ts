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
/** A channel's most for segments, and one segment more for each file that was just written to. */
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
  t.ok(reserve.totals.segments <= boundBytes, `${Math.round(reserve.totals.segments / MiB)} MiB are kept for one channel`);
  t.ok(
    written.some((bytes) => bytes < 4 * MiB),
    'some were held back',
  );
  answer();
  await Promise.all(uploads.map((upload) => upload.close()));
  for (const [at, warden] of wardens.entries()) t.equal(warden.closed?.size, written[at], 'each file is whole');
  t.equal(reserve.totals.segments, 0, 'and nothing is left in the account');
});

test('a failed upload gives back what it had', async (t) => {
  const reserve = new BufferReserve(512 * MiB);
  const warden = new ScriptedWarden();
  const account = reserve.account();
  const upload = await Upload.open({ ...uploadContext(edge, warden), buffers: account }, ['deposit', 'f'], mode);
  upload.write(0, [piece]);
  t.equal(reserve.totals.segments, 256 * 1024);
  t.throws(() => upload.write(0, [piece]), /cannot be written again/);
  await t.rejects(upload.close());
  t.equal(reserve.totals.segments, 0);
});
