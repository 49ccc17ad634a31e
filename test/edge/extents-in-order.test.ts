// T-31 in the edge: when an extent of an upload is not stored, the warden is not asked to seal those behind it, which
// it would charge and refuse. Those before it are sealed.
import { randomBytes } from 'node:crypto';
import { t as file, type Test, test } from 'tap';
import { CofferdamError } from '../../server/domain/errors.ts';
import { Upload } from '../../server/edge/sftp/upload.ts';
import { extentPlainBytesMax } from '../../server/extents/sealed-format.ts';
import { edgeProcess, refusal, ScriptedWarden, uploadContext } from '../support/scripted-warden.ts';
import { slowFiles } from '../support/slow-files.ts';
import { until } from '../support/until.ts';

const edge = await edgeProcess(file);
const whole = randomBytes(2 * extentPlainBytesMax + 1_000_000);

/** Long enough for an answer of the store to reach the warden. */
const turns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 200));

/** What happens on the way of the upload, in order: `durable N begins`, `durable N`, and what a test adds. */
class Story {
  readonly happened: string[] = [];
  readonly after = (what: string): Promise<void> => until(what, () => this.happened.includes(what), { everyMs: 2 });
}
/** What becomes of each object when it is made durable, in their order. */
type Fates = readonly ((story: Story) => Promise<void> | void)[];
const well = (): void => {};
/** Everything is on its way to the store by then. */
const allBegun = (story: Story): Promise<void> => story.after('durable 3 begins');
const fails = async (story: Story): Promise<never> => {
  await story.after('durable 3');
  throw new Error('EIO: as the test wants');
};

type Given = {
  readonly warden: ScriptedWarden;
  readonly story: Story;
  /** What happens before the upload is let go. */
  readonly lettingGo: string;
};

/** Uploads three extents and waits for them. Returns what the warden was asked to seal, and what it sealed. */
async function upload(
  t: Test,
  fates: Fates,
  { warden = new ScriptedWarden(), story = new Story(), lettingGo = 'told' }: Partial<Given> = {},
) {
  let count = 0;
  const files = slowFiles(t);
  files.before = async (call) => {
    if (call !== 'datasync') return;
    count += 1;
    const number = count;
    story.happened.push(`durable ${number} begins`);
    await fates[number - 1]?.(story);
    story.happened.push(`durable ${number}`);
  };
  const one = await Upload.open(uploadContext(edge, warden), ['deposit', 'f'], {
    continue: true,
    exclusive: false,
    mustExist: false,
    appends: false,
  });
  let said = 'OK';
  try {
    for (let at = 0; at < whole.length; at += 32_768) {
      while (one.isFull)
        await new Promise<void>((resolve) => {
          one.onRoom = resolve;
        });
      one.write(at, [whole.subarray(at, at + 32_768)]);
    }
    await one.sync();
  } catch (error) {
    said = error instanceof CofferdamError ? error.code : String(error);
  }
  story.happened.push('told');
  await story.after(lettingGo);
  await turns();
  await one.interrupt();
  story.happened.push('let go');
  // What is under way goes on, and is heard of.
  await until('all of it is over', () => files.underWay === 0);
  await turns();
  const asked = warden.asked.filter((op) => op === 'upload.seal-extent').length;
  return { said, asked, sealed: warden.sealedBytes.length };
}

test('extents that are stored are sealed in their order', async (t) => {
  t.same(await upload(t, [well, well, well]), { said: 'OK', asked: 3, sealed: 3 });
});

test('extents behind the first wait for it, however late it is durable', async (t) => {
  t.same(await upload(t, [(story) => story.after('durable 3'), well, well]), { said: 'OK', asked: 3, sealed: 3 });
});

test('an extent that is not stored is followed by none', async (t) => {
  t.same(await upload(t, [fails, well, well]), { said: 'unavailable', asked: 0, sealed: 0 });
});

test('those before it are sealed, also when they are durable later', async (t) => {
  const first = async (story: Story): Promise<void> => {
    await story.after('durable 3');
    await turns();
  };
  const lettingGo = 'durable 1';
  t.same(await upload(t, [first, fails, well], { lettingGo }), { said: 'unavailable', asked: 1, sealed: 1 });
});

test('an extent that the warden refuses is followed by none that is durable later', async (t) => {
  const [warden, story] = [new ScriptedWarden(), new Story()];
  warden.faults.set('upload.seal-extent', async (nth) => {
    if (nth > 1) return;
    await allBegun(story);
    story.happened.push('refused');
    throw refusal;
  });
  const later = async (): Promise<void> => {
    await story.after('refused');
    await turns();
  };
  const given = { warden, story, lettingGo: 'durable 3' };
  t.same(await upload(t, [well, later, later], given), { said: 'conflict', asked: 1, sealed: 0 });
});

/** The warden begins no second extent when the first one is being made durable. */
function refusingSecond(): Pick<Given, 'warden' | 'story'> {
  const [warden, story] = [new ScriptedWarden(), new Story()];
  warden.faults.set('upload.begin-extent', async () => {
    await story.after('durable 1 begins');
    story.happened.push('refused');
    throw new CofferdamError('over-limit', 'COFFERDAM-BUDGET');
  });
  return { warden, story };
}

test('a refusal to begin another extent takes nothing from one that is durable before the upload is let go', async (t) => {
  const later = async (story: Story): Promise<void> => {
    await story.after('refused');
    await turns();
  };
  const given = { ...refusingSecond(), lettingGo: 'durable 1' };
  t.same(await upload(t, [later], given), { said: 'over-limit', asked: 1, sealed: 1 });
});

test('what is durable after the upload was let go is sealed no more', async (t) => {
  const later = (story: Story): Promise<void> => story.after('let go');
  t.same(await upload(t, [later], refusingSecond()), { said: 'over-limit', asked: 0, sealed: 0 });
});
