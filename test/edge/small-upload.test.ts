// A file that was offered at OPEN: its bytes stay in memory until CLOSE stores it in one call, and everything that is
// not the plain case makes an upload like any other of it, with all that was written.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { type Test, test, t as top } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { type Filler, Filling } from '../../server/edge/sftp/filling.ts';
import { openForWriting, type WritableFile } from '../../server/edge/sftp/small-upload.ts';
import { headerBytes, SegmentOpener } from '../../server/extents/sealed-format.ts';
import { edgeProcess, roomy, ScriptedWarden, uploadContext } from '../support/scripted-warden.ts';

const [key, context] = [randomBytes(32), randomBytes(40)];
const lifeMs = 60_000;
const KiB = 1024;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const next = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

type Put = {
  readonly whole: boolean;
  readonly size: number;
  readonly sha256: string;
  readonly modifiedAt?: number;
  readonly extent?: { readonly bytes: number; readonly inline: string };
};
/** The file of a put, as a reader opens it. */
function opened({ extent }: Put): Buffer {
  if (extent === undefined) return Buffer.alloc(0);
  const sealed = Buffer.from(extent.inline, 'base64');
  const opener = new SegmentOpener(key, context, sealed.subarray(0, headerBytes), extent.bytes);
  return Buffer.from(opener.open(0, sealed.subarray(headerBytes)));
}

class OfferingWarden extends ScriptedWarden {
  readonly puts: Put[] = [];
  refusal: CofferdamError | undefined;

  constructor(life = lifeMs) {
    super();
    this.answer('upload.offer', () => ({
      outcome: 'offer',
      upload: randomUUID(),
      customer: randomUUID(),
      standing: 0,
      lifeMs: life,
      extent: { objectId: 'a'.repeat(32), key: key.toString('base64'), context: context.toString('base64') },
    }));
    this.answer('upload.begin', this.giving('upload.open'));
    this.answer('upload.put', (params: Put) => {
      if (this.refusal !== undefined) throw this.refusal;
      this.puts.push(params);
      return { version: randomUUID() };
    });
  }

  /** The calls about the file, without pacing. */
  get calls(): readonly string[] {
    return this.asked.filter((op) => op !== 'flow.permit');
  }
}

const edge = await edgeProcess(top);

async function setUp(t: Test, warden = new OfferingWarden(), more: object = {}) {
  let held = 0;
  const addUploads = (bytes: number): void => {
    held += bytes;
  };
  const buffers = { ...roomy, addUploads };
  const uploads = uploadContext(edge, warden, buffers, new Filling(buffers, edge.store));
  const mode = { continue: false, exclusive: false, mustExist: false, appends: false, ...more };
  const file = await openForWriting(uploads, ['deposit', 'f'], mode);
  const isEmpty = async (): Promise<void> => {
    await next();
    t.equal(held, 0, 'nothing is held any more');
  };
  return { warden, file, isEmpty };
}

const write = (file: WritableFile, whole: Buffer, pieceBytes = 10_000): void => {
  for (let at = 0; at < whole.length; at += pieceBytes) file.write(at, [whole.subarray(at, at + pieceBytes)]);
};

test('a small file is stored by one call', async (t) => {
  for (const bytes of [0, 1, 700, 65_536]) {
    const { warden, file, isEmpty } = await setUp(t);
    const whole = randomBytes(bytes);
    write(file, whole);
    t.equal(file.size, bytes);
    file.modifiedAt = 1_700_000_000;
    await file.close();
    t.same(warden.calls, ['upload.offer', 'upload.put'], `${bytes} bytes`);
    const [put] = warden.puts;
    t.match(put, { whole: true, size: bytes, sha256: sha256(whole), modifiedAt: 1_700_000_000 });
    t.ok(put !== undefined && opened(put).equals(whole), 'and can be opened with the key of the offer');
    await isEmpty();
    await t.rejects(file.close(), { code: 'conflict' }, 'once');
  }
});

test('what is not the plain case becomes an upload, with everything that was written', async (t) => {
  const small = randomBytes(20 * KiB);
  const large = randomBytes(200 * KiB);
  const cases: Readonly<Record<string, readonly [Buffer, (file: WritableFile) => unknown]>> = {
    'more than fits into one call': [large, (file) => write(file, large)],
    'exactly one byte more': [large.subarray(0, 65_537), (file) => write(file, large.subarray(0, 65_537), 65_536)],
    'out of sequence': [
      small,
      (file) => {
        file.write(10_000, [small.subarray(10_000)]);
        file.write(0, [small.subarray(0, 10_000)]);
      },
    ],
    'an fsync': [
      small,
      async (file) => {
        write(file, small.subarray(0, 10_000));
        await file.sync();
        file.write(10_000, [small.subarray(10_000)]);
      },
    ],
    'a write before an fsync is answered': [
      small,
      async (file) => {
        write(file, small.subarray(0, 10_000));
        const synced = file.sync();
        file.write(10_000, [small.subarray(10_000)]);
        await synced;
      },
    ],
    'a size that is set': [
      small,
      (file) => {
        file.resize(small.length);
        write(file, small);
      },
    ],
  };
  for (const [what, [whole, work]] of Object.entries(cases)) {
    const { warden, file, isEmpty } = await setUp(t);
    await work(file);
    await file.room();
    t.equal(file.size, whole.length, what);
    await file.close();
    t.ok(warden.isFile(whole), `${what}: the whole file`);
    t.same(warden.puts, [], `${what}: by an upload`);
    t.equal(warden.calls.filter((op) => op === 'upload.begin').length, 1, `${what}: begun once`);
    await isEmpty();
  }
});

test('the end of an offer', async (t) => {
  const whole = randomBytes(20 * KiB);
  const waited = await setUp(t, new OfferingWarden(30));
  write(waited.file, whole.subarray(0, 10_000));
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.same(waited.warden.calls, ['upload.offer', 'upload.begin'], 'its time is over: an upload begins');
  waited.file.write(10_000, [whole.subarray(10_000)]);
  await waited.file.close();
  t.ok(waited.warden.isFile(whole));
  await waited.isEmpty();

  const gone = await setUp(t);
  gone.warden.refusal = new CofferdamError('not-found', 'this offer is over');
  write(gone.file, whole);
  await gone.file.close();
  t.ok(gone.warden.isFile(whole), 'a warden that does not know the offer: the file is uploaded like any other');
  t.same(gone.warden.calls.slice(0, 3), ['upload.offer', 'upload.put', 'upload.begin']);
  await gone.isEmpty();
});

test('what was refused makes no file', async (t) => {
  const whole = randomBytes(KiB);
  const full = await setUp(t);
  full.warden.refusal = new CofferdamError('over-limit', 'the limit of the account is reached');
  write(full.file, whole);
  await t.rejects(full.file.close(), { code: 'over-limit', message: /limit of the account/ });
  t.same(full.warden.calls, ['upload.offer', 'upload.put'], 'and nothing else is tried');
  await full.isEmpty();

  const refusals: Readonly<Record<string, (file: WritableFile) => void>> = {
    'a WRITE that was malformed': (file) => file.refuse(new CofferdamError('invalid', 'packet is too short')),
    'bytes that are written over': (file) => {
      try {
        file.write(0, [whole]);
      } catch {}
    },
    'a hole': (file) => file.write(5000, [whole]),
    'a size that is too small': (file) => t.throws(() => file.resize(10), /cannot be shortened/),
    'a size that is not reached': (file) => file.resize(100_000),
  };
  for (const [what, refuse] of Object.entries(refusals)) {
    const { warden, file, isEmpty } = await setUp(t);
    write(file, whole);
    refuse(file);
    await t.rejects(file.close(), /stays incomplete and can be resumed/, what);
    t.same([warden.puts, warden.closed], [[], undefined], `${what}: no file`);
    t.same([warden.size, warden.interrupted], [whole.length, 1], `${what}: what came in sequence is kept`);
    await isEmpty();
  }

  const lost = await setUp(t);
  lost.warden.faults.set('upload.begin', () => {
    throw new CofferdamError('conflict', 'this upload was taken over or ended');
  });
  write(lost.file, whole);
  await t.rejects(lost.file.sync(), /taken over/);
  t.throws(() => lost.file.write(whole.length, [whole]), /taken over/, 'every later request is told');
  await t.rejects(lost.file.close(), /taken over/);
  await lost.isEmpty();
});

test('what no upload would take is refused at once, and its CLOSE too', async (t) => {
  const { reorderWindowBytes } = edge.node.limits;
  const refusals: Readonly<Record<string, (file: WritableFile) => void>> = {
    'a WRITE beyond every file': (file) => file.write(Number.MAX_SAFE_INTEGER, [Buffer.from('x')]),
    'a WRITE one byte too far ahead': (file) => file.write(1000 + reorderWindowBytes, [Buffer.from('x')]),
    'a size beyond every file': (file) => file.resize(Number.MAX_SAFE_INTEGER),
  };
  for (const [what, ask] of Object.entries(refusals)) {
    const { file, isEmpty } = await setUp(t);
    write(file, randomBytes(1000));
    t.throws(() => ask(file), { code: 'unsupported' }, what);
    await t.rejects(file.close(), what);
    await isEmpty();
  }
  const { file, isEmpty } = await setUp(t);
  write(file, randomBytes(1000));
  t.doesNotThrow(() => file.write(999 + reorderWindowBytes, [Buffer.from('x')]), 'the twin: just in the window');
  await t.rejects(file.close(), /gap|missing|complete/, 'what is missing is told at CLOSE');
  await isEmpty();
});

test('a file whose CLOSE waits for the flow keeps its bytes until they are put', async (t) => {
  const whole = randomBytes(20 * KiB);
  const { warden, file, isEmpty } = await setUp(t);
  let letPass = (): void => {};
  const gate = new Promise<void>((resolve) => {
    letPass = resolve;
  });
  let isWaiting = false;
  warden.faults.set('flow.permit', () => {
    isWaiting = true;
    return gate;
  });
  warden.faults.set('upload.begin', () => {
    throw new CofferdamError('unavailable', 'the record is behind');
  });
  write(file, whole);
  const closing = file.close();
  await next();
  t.ok(isWaiting, 'the CLOSE waits');
  const filler = file as unknown as Filler;
  t.equal(filler.filledBytes, 0, 'it is not what is sealed early when memory is short');
  filler.seal();
  await next();
  letPass();
  await closing;
  t.notOk(warden.calls.includes('upload.begin'));
  const [put] = warden.puts;
  t.ok(put !== undefined && opened(put).equals(whole), 'what is stored is what was written');
  t.equal(put?.sha256, sha256(whole));
  await isEmpty();
});

test('a put whose warden ended is asked for once more before anything is called lost', async (t) => {
  const whole = randomBytes(KiB);
  for (const isThere of [true, false]) {
    const { warden, file, isEmpty } = await setUp(t);
    warden.refusal = new CofferdamError('not-found', 'this offer is over; nothing was stored');
    warden.faults.set('upload.begin', () => {
      // By now the commit of the put is known.
      if (isThere) warden.refusal = undefined;
      throw new CofferdamError('conflict', 'the name was taken meanwhile');
    });
    write(file, whole);
    if (isThere) await file.close();
    else await t.rejects(file.close(), { code: 'conflict' }, 'the twin: it was not stored');
    t.same(warden.calls, ['upload.offer', 'upload.put', 'upload.begin', 'upload.put']);
    await isEmpty();
  }
});

test('a cut', async (t) => {
  const whole = randomBytes(KiB);
  const cut = await setUp(t);
  write(cut.file, whole);
  await cut.file.interrupt();
  t.same(cut.warden.calls, ['upload.offer'], 'nothing is left, as if it had not begun');
  await cut.isEmpty();
  const synced = await setUp(t);
  write(synced.file, whole);
  await synced.file.sync();
  await synced.file.interrupt();
  t.same([synced.warden.size, synced.warden.interrupted], [whole.length, 1], 'the twin: what was synced is kept');
  await synced.isEmpty();
});
