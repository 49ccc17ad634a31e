// T-31 in the edge: every way to refuse, every way to end a handle, and every answer of the warden refused, lost or
// late. Only a whole file is stated to be whole.
import { randomBytes } from 'node:crypto';
import { t as file, test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { Upload } from '../../server/edge/sftp/upload.ts';
import {
  edgeProcess,
  type Fault,
  lostAnswer,
  refusal,
  ScriptedWarden,
  uploadContext,
  wrongAnswers,
} from '../support/scripted-warden.ts';

const edge = await edgeProcess(file);
const MiB = 1024 ** 2;
const mode = { continue: true, exclusive: false, mustExist: false, appends: false };

async function open(warden: ScriptedWarden, more: Partial<typeof mode> = {}): Promise<Upload> {
  return Upload.open(uploadContext(edge, warden), ['deposit', 'f'], { ...mode, ...more });
}

/** In WRITEs of 32 KiB, held back as a session holds its client back. */
async function write(upload: Upload, bytes: Buffer, from = 0): Promise<void> {
  for (let at = 0; at < bytes.length; at += 32_768) {
    while (upload.isFull)
      await new Promise<void>((resolve) => {
        upload.onRoom = resolve;
      });
    upload.write(from + at, [bytes.subarray(at, at + 32_768)]);
  }
}

const ending = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'OK',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );

/** A rejection that nobody handles ends a role: there must be none. */
const floating: unknown[] = [];
process.on('unhandledRejection', (error) => floating.push(error));

type Ways = Readonly<
  Record<string, readonly [(upload: Upload, warden: ScriptedWarden) => Promise<void> | void, RegExp]>
>;
const first = randomBytes(100_000);
const refuses = (work: () => void): void => {
  try {
    work();
  } catch {
    return;
  }
  throw new Error('it was not refused');
};
const refusals: Ways = {
  'a WRITE too far ahead': [(upload) => refuses(() => upload.write(64 * MiB, [first])), /too far ahead/],
  'a WRITE at a place already passed': [
    (upload) => refuses(() => upload.write(0, [Buffer.from('HEADER')])),
    /cannot be overwritten/,
  ],
  'a hole': [(upload) => upload.write(200_000, [first]), /a part of the file is missing/],
  'a malformed WRITE': [
    (upload) => upload.refuse(new CofferdamError('malformed', 'packet is too short')),
    /packet is too short/,
  ],
  'a smaller size': [(upload) => refuses(() => upload.resize(10)), /a file cannot be shortened/],
  'a size that is not reached': [
    (upload) => upload.resize(1_000_000),
    /1000000 bytes were announced and the file has 100000/,
  ],
  'an fsync that failed': [
    async (upload, warden) => {
      warden.faults.set('upload.seal-extent', wrongAnswers.refused);
      await upload.sync().catch(() => {});
    },
    /taken over/,
  ],
  'a budget': [
    async (upload, warden) => {
      warden.faults.set('upload.begin-extent', () =>
        Promise.reject(new CofferdamError('over-limit', 'COFFERDAM-BUDGET')),
      );
      await write(upload, randomBytes(17 * MiB), 100_000).catch(() => {});
    },
    /COFFERDAM-BUDGET/,
  ],
  'a WRITE after an error': [
    (upload) => {
      refuses(() => upload.write(0, [first]));
      refuses(() => upload.write(100_000, [first]));
    },
    /cannot be overwritten/,
  ],
};

test('a handle on which anything was refused makes no file, however it ends', async (t) => {
  for (const [name, [refuse, why]] of Object.entries(refusals))
    for (const end of ['close', 'interrupt'] as const) {
      const warden = new ScriptedWarden();
      const upload = await open(warden);
      await write(upload, first);
      await refuse(upload, warden);
      warden.faults.clear();
      const said = await ending(upload[end]());
      if (end === 'close')
        t.match(
          said,
          new RegExp(`${why.source}[\\s\\S]*stays incomplete and can be resumed`),
          `${name}: CLOSE says so`,
        );
      t.equal(warden.closed, undefined, `${name}, ${end}: no file`);
      t.equal(warden.interrupted, 1, `${name}, ${end}: it is let go, to be resumed`);
    }
  const warden = new ScriptedWarden();
  const upload = await open(warden);
  upload.resize(first.length);
  await write(upload, first);
  upload.resize(first.length);
  await upload.sync();
  t.equal(await ending(upload.close()), 'OK', 'the allow twin: a size announced, reached and confirmed');
  t.ok(warden.isFile(first));
});

test('what came in sequence before a refusal is kept for a continuation', async (t) => {
  const warden = new ScriptedWarden();
  const upload = await open(warden);
  await write(upload, first);
  refuses(() => upload.write(0, [first]));
  await ending(upload.close());
  t.equal(warden.size, first.length, 'all of it');
});

test('what came before a CLOSE that the warden refuses is kept, too, with the last extent that was sealed for it', async (t) => {
  for (const [what, fault] of Object.entries(wrongAnswers)) {
    const warden = new ScriptedWarden();
    const upload = await open(warden);
    await write(upload, first);
    warden.faults.set('upload.close', fault);
    t.not(await ending(upload.close()), 'OK', what);
    t.same(
      [warden.closed, warden.interrupted, warden.size],
      [undefined, 1, first.length],
      `${what}: no file, and every byte`,
    );
  }
});

test('a partial upload is resumed, written anew, cut, or left as it was', async (t) => {
  const stored = randomBytes(120_000);
  const more = randomBytes(70_000);
  const resumed = async (
    work: (upload: Upload) => Promise<void>,
    appends = false,
  ): Promise<readonly [string, ScriptedWarden]> => {
    const warden = new ScriptedWarden();
    warden.stored = { kind: 'partial', bytes: stored };
    const upload = await open(warden, { appends });
    await work(upload);
    return [await ending(upload.close()), warden];
  };
  const [untouched, left] = await resumed(async () => {});
  t.match(
    [untouched, left.closed, left.interrupted],
    [/nothing was added; the file stays incomplete/, undefined, 1],
    'opened and closed',
  );
  for (const appends of [false, true]) {
    const [said, warden] = await resumed((upload) => write(upload, more, stored.length), appends);
    t.same([said, warden.isFile(Buffer.concat([stored, more]))], ['OK', true], 'gone on with at its end');
    t.notOk(warden.asked.includes('upload.rewrite'), 'and nothing is written anew');
  }
  const whole = randomBytes(200_000);
  const [said, anew] = await resumed((upload) => write(upload, whole));
  t.same([said, anew.isFile(whole)], ['OK', true], 'written anew from the start');
  const [less, shorter] = await resumed((upload) => write(upload, whole.subarray(0, 32_000)));
  t.match(
    [less, shorter.closed, shorter.interrupted],
    [/fewer bytes were written than the incomplete file already had/, undefined, 1],
    'anew, and not as far',
  );
  // Its CLOSE was lost: a client that sends the file again from the start has nothing more to send.
  for (const [bytes, why] of [
    [stored.length - 1, /fewer bytes were written than the incomplete file already had/],
    [stored.length, /^OK$/],
  ] as const) {
    const [answer, same] = await resumed((upload) => write(upload, whole.subarray(0, bytes)));
    t.match(answer, why, `anew, ${bytes} of ${stored.length} bytes`);
    t.equal(same.isFile(whole.subarray(0, bytes)), bytes === stored.length);
  }
  const [mixed, overlap] = await resumed((upload) => write(upload, whole, 60_000));
  t.same(
    [mixed, overlap.isFile(Buffer.concat([stored.subarray(0, 60_000), whole]))],
    ['OK', true],
    'from its middle on',
  );
  const [last, almost] = await resumed((upload) => write(upload, whole, stored.length - 1));
  t.same(
    [last, almost.isFile(Buffer.concat([stored.subarray(0, -1), whole])), almost.asked.includes('upload.rewrite')],
    ['OK', true, true],
    'the twin: from its last byte on it is',
  );
  const [cut, short] = await resumed(async (upload) => {
    upload.resize(0);
    await write(upload, whole.subarray(0, 1000));
  });
  t.same([cut, short.isFile(whole.subarray(0, 1000))], ['OK', true], 'cut to nothing, then written');
});

test('a complete file is continued, written over in part, cut, or left as it was', async (t) => {
  const base = randomBytes(120_000);
  const followed = async (
    work: (upload: Upload) => Promise<void>,
    appends = false,
    letGo?: Fault,
  ): Promise<readonly [string, ScriptedWarden]> => {
    const warden = new ScriptedWarden();
    if (letGo !== undefined) warden.faults.set('upload.interrupt', letGo);
    warden.stored = { kind: 'complete', bytes: base };
    const upload = await open(warden, { appends });
    t.equal(upload.size, base.length, 'its writer sees its size');
    await work(upload);
    return [await ending(upload.close()), warden];
  };
  const [untouched, left] = await followed(async () => {});
  t.same([untouched, left.closed, left.interrupted], ['OK', undefined, 1], 'opened and closed: it is what it was');
  const [gone] = await followed(async () => {}, false, wrongAnswers.refused);
  t.match(gone, /taken over or ended/, 'removed meanwhile: its CLOSE does not call it a file');
  const shorten = (upload: Upload): void => refuses(() => upload.resize(10));
  const [refused, intact] = await followed(async (upload) => shorten(upload));
  t.match(refused, /^a file cannot be shortened[^;]*; open it [^;]*$/, 'nothing is called incomplete');
  t.same([intact.closed, intact.interrupted], [undefined, 1], 'nothing was written: it is let go');
  const [torn] = await followed(async (upload) => {
    await write(upload, base, base.length);
    shorten(upload);
  });
  t.match(torn, /cannot be shortened[\s\S]*stays incomplete and can be resumed$/, 'twin: something was written');
  const more = randomBytes(90_000);
  for (const appends of [false, true]) {
    const [said, warden] = await followed((upload) => write(upload, more, base.length), appends);
    t.same([said, warden.isFile(Buffer.concat([base, more]))], ['OK', true], 'gone on from at its end');
  }
  for (const [from, count] of [
    [0, 6],
    [0, 120_000],
    [0, 90_000],
    [40_000, 20_000],
    [99_999, 60_000],
  ] as const) {
    const over = randomBytes(count);
    const [said, warden] = await followed((upload) => write(upload, over, from));
    const wanted = Buffer.concat([base.subarray(0, from), over, base.subarray(from + count)]);
    t.same([said, warden.isFile(wanted)], ['OK', true], `${count} bytes written over it at ${from}: the rest stays`);
  }
  const [cut, empty] = await followed(async (upload) => upload.resize(0));
  t.same([cut, empty.isFile(Buffer.alloc(0))], ['OK', true], 'cut to nothing');
});

test('a client is cut off while the existing bytes are taken over: everything that was acknowledged is kept', async (t) => {
  const there = randomBytes(120_000);
  const more = randomBytes(70_000);
  for (const [kind, from, op, size] of [
    ['complete', there.length, 'upload.base-extent', there.length + more.length],
    ['complete', 40_000, 'upload.base-extent', 40_000 + more.length],
    ['partial', 60_000, 'upload.base-extent', 60_000 + more.length],
    ['partial', 0, 'upload.rewrite', more.length],
    ['partial', there.length, 'upload.verify-extent', there.length + more.length],
  ] as const) {
    const warden = new ScriptedWarden();
    warden.stored = { kind, bytes: there };
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    warden.faults.set(op, () => {
      asked.resolve();
      return answer.promise;
    });
    const upload = await open(warden);
    await write(upload, more.subarray(0, 32_768), from);
    upload.write(from + 32_768, [more.subarray(32_768)]);
    await asked.promise;
    const ended = ending(upload.interrupt());
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal(warden.interrupted, 0, `${kind}, from ${from}: nothing is said before ${op} is answered`);
    answer.resolve();
    t.equal(await ended, 'OK');
    t.same(
      [warden.interrupted, warden.size],
      [1, size],
      `${kind}, from ${from}: what was taken over, and every byte behind it`,
    );
  }
});

test('the running hash of an upload is kept as that of the stored bytes only, and no other hash takes its place', async (t) => {
  const [there, more, lastObject] = [randomBytes(50_000), randomBytes(20_000), randomBytes(16).toString('hex')];
  const resume = async (stored: number): Promise<{ readonly upload: Upload; readonly warden: ScriptedWarden }> => {
    const warden = new ScriptedWarden();
    if (stored > 0) warden.stored = { kind: 'partial', bytes: there };
    // Whatever was sealed since, this is what is stored: another upload took this one's place, or the answer is an
    // older one.
    warden.answer('upload.interrupt', () => ({ storedBytes: there.length, lastObject }));
    const opened = warden.giving('upload.open');
    warden.answer('upload.open', (params) => ({ ...opened(params), ...(stored > 0 ? { lastObject } : {}) }));
    return { upload: await open(warden), warden };
  };
  const first = await resume(0);
  await write(first.upload, there);
  await first.upload.interrupt();
  const second = await resume(there.length);
  await write(second.upload, more, there.length);
  await second.upload.interrupt();
  t.notOk(second.warden.asked.includes('upload.verify-extent'), 'its hash was kept');
  const third = await resume(there.length);
  await write(third.upload, more, there.length);
  t.equal(await ending(third.upload.close()), 'OK');
  t.notOk(
    third.warden.asked.includes('upload.verify-extent'),
    'and still is: what the second one hashed beyond is kept under no name',
  );
  t.ok(third.warden.isFile(Buffer.concat([there, more])), 'the hash of the file is that of its bytes');
});

test('an fsync is answered when the warden has said that the bytes are durable, and refused when it says that they are not', async (t) => {
  for (const [fault, why] of [
    [undefined, /^OK$/],
    [refusal, /taken over/],
  ] as const) {
    const warden = new ScriptedWarden();
    const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    warden.faults.set('upload.seal-extent', async () => {
      asked.resolve();
      await answer.promise;
      if (fault !== undefined) throw fault;
    });
    const upload = await open(warden);
    await write(upload, first);
    let said: string | undefined;
    const synced = ending(upload.sync()).then((text) => {
      said = text;
    });
    await asked.promise;
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal(said, undefined, 'not before');
    answer.resolve();
    await synced;
    t.match(said, why);
    await upload.interrupt();
  }
});

/** An upload to what was there, which is being taken over until `answer` says that it may be. */
async function takingOver(kind: 'complete' | 'partial', bytes: Buffer) {
  const warden = new ScriptedWarden();
  warden.stored = { kind, bytes };
  const answer = Promise.withResolvers<void>();
  warden.faults.set('upload.base-extent', () => answer.promise);
  return { warden, upload: await open(warden), answer: () => answer.resolve() };
}
const there = randomBytes(120_000);
const onward = [
  ['complete', there.length],
  ['complete', 40_000],
  ['partial', 40_000],
] as const;

test('an fsync while what was there is taken over is answered when all of it is stored, and the WRITEs before it too', async (t) => {
  const more = randomBytes(100_000);
  for (const [kind, from] of onward) {
    const { warden, upload, answer } = await takingOver(kind, there);
    upload.write(from, [more]);
    let said: string | undefined;
    const synced = ending(upload.sync()).then((text) => {
      said = text;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal(said, undefined, `${kind}, from ${from}: not before`);
    answer();
    await synced;
    t.same([said, warden.size], ['OK', from + more.length], 'every byte was sealed by then');
    await upload.interrupt();
  }
});

test('what is written while what was there is taken over is kept as it came, whatever becomes of the buffer that it came in', async (t) => {
  const more = randomBytes(100_000);
  for (const [kind, from] of onward) {
    const { warden, upload, answer } = await takingOver(kind, there);
    // A socket's buffer is used again, and each WRITE is a part of it.
    const buffer = Buffer.alloc(50_000);
    for (const at of [0, 50_000]) {
      more.copy(buffer, 0, at, at + 50_000);
      upload.write(from + at, [buffer.subarray(0, 20_000), buffer.subarray(20_000)]);
      buffer.fill(0);
    }
    answer();
    const rest = kind === 'complete' ? there.subarray(from + more.length) : Buffer.alloc(0);
    t.same(
      [await ending(upload.close()), warden.isFile(Buffer.concat([there.subarray(0, from), more, rest]))],
      ['OK', true],
      `${kind}, from ${from}`,
    );
  }
});

test('WRITEs after an unanswered fsync are in the file', async (t) => {
  const whole = randomBytes(20 * MiB);
  const warden = new ScriptedWarden();
  let answer = (): void => {};
  warden.faults.set('upload.seal-extent', (nth) =>
    nth === 1 ? new Promise<void>((resolve) => (answer = resolve)) : undefined,
  );
  const upload = await open(warden);
  const parts = [300_000, 17 * MiB, 17 * MiB + 1, whole.length];
  let done = 0;
  const syncs: Promise<string>[] = [];
  const waiting = setTimeout(() => answer(), 300);
  for (const part of parts) {
    syncs.push(ending(upload.sync()));
    await write(upload, whole.subarray(done, part), done);
    done = part;
  }
  syncs.push(ending(upload.sync()));
  const close = ending(upload.close());
  t.same(await Promise.all(syncs), Array(5).fill('OK'));
  clearTimeout(waiting);
  t.equal(await close, 'OK');
  t.ok(warden.isFile(whole), `${warden.sealedBytes.join(' ')}: each byte once, in order`);
});

test('each answer of the warden refused, lost or late', async (t) => {
  const whole = randomBytes(18 * MiB);
  const late: Fault = () => new Promise((resolve) => setTimeout(resolve, 150));
  const used = {
    'upload.open': undefined,
    'upload.begin-extent': undefined,
    'upload.seal-extent': undefined,
    'upload.rewrite': 'partial',
    'upload.verify-extent': 'partial',
    'upload.base-extent': 'complete',
    'flow.permit': undefined,
    'upload.close': undefined,
    'upload.interrupt': undefined,
  } as const;
  const run = async (op: keyof typeof used, fault: Fault): Promise<readonly [string, ScriptedWarden]> => {
    const warden = new ScriptedWarden();
    const kind = used[op];
    if (kind !== undefined) warden.stored = { kind, bytes: whole.subarray(0, 60_000) };
    warden.faults.set(op, fault);
    const said = ending(
      (async () => {
        const upload = await open(warden);
        try {
          const from = kind === undefined || op === 'upload.rewrite' ? 0 : 60_000;
          await write(upload, whole.subarray(from, from + 100_000), from);
          await upload.sync();
          await write(upload, whole.subarray(from + 100_000), from + 100_000);
        } catch (error) {
          // The client is told, and closes as every client does.
          await upload.close().catch(() => {});
          throw error;
        }
        if (op === 'upload.interrupt') await upload.interrupt();
        else await upload.close();
      })(),
    );
    return [await said, warden];
  };
  for (const op of Object.keys(used) as (keyof typeof used)[]) {
    for (const [what, fault] of Object.entries(wrongAnswers)) {
      const [said, warden] = await run(op, fault);
      t.ok(warden.asked.includes(op), `${op} was asked`);
      if (op !== 'upload.interrupt')
        t.match(
          said,
          what === 'lost' ? new RegExp(lostAnswer.message) : new RegExp(refusal.message),
          `${op} ${what}: the client hears it`,
        );
      t.equal(warden.closed, undefined, `${op} ${what}: no file`);
    }
    const [said, warden] = await run(op, late);
    t.equal(said, 'OK', `${op} late: ${said}`);
    if (op !== 'upload.interrupt') t.ok(warden.isFile(whole), `${op} late: the whole file`);
  }
});

test('an upload that was taken over: fsync, close and the end of its connection are told, and no promise is left over', async (t) => {
  for (const end of ['close', 'interrupt'] as const) {
    const warden = new ScriptedWarden();
    const upload = await open(warden);
    await write(upload, first);
    for (const op of ['upload.begin-extent', 'upload.seal-extent', 'upload.close', 'upload.interrupt'] as const)
      warden.faults.set(op, wrongAnswers.refused);
    t.match(await ending(upload.sync()), /taken over/, 'fsync');
    t.match(await ending(upload.sync()), /taken over/, 'and again');
    refuses(() => upload.write(100_000, [first]));
    const said = await ending(upload[end]());
    t.match(said, end === 'close' ? /taken over.*incomplete/s : /OK/, end);
    t.equal(warden.closed, undefined);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.same(floating, [], 'no promise was rejected that nobody holds');
});
