// The store works under the rules of its unit of systemd: nobody there may ask for the set-group-id bit
// (RestrictSUIDSGID), and what it makes belongs to the group of the objects all the same.
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { objectPath } from '../../server/extents/directory-store.ts';
import { temporaryDirectory } from '../support/database.ts';
import { project } from '../support/world.ts';
import { newObject } from './conformance.ts';

type Ended = { readonly code: number; readonly err: string };

/** Runs JavaScript in a process that may ask for neither bit. */
const within = (text: string, ...args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(
      'python3',
      [
        join(project, 'test', 'support', 'without-mode-bits.py'),
        process.execPath,
        '--disable-warning=ExperimentalWarning',
        '--input-type=module',
        '-e',
        text,
        ...args,
      ],
      { cwd: project },
      (error, _, err) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), err }),
    );
  });

const puts = `
import { DirectoryStore } from './server/extents/directory-store.ts';
const [objects, object] = process.argv.slice(1);
const store = await DirectoryStore.open(objects);
const writer = store.begin(object);
const memory = store.memory(1000);
await writer.write(memory, 1000);
await writer.finish();
`;

test('every unit has the rule, and the store starts and puts under it', async (t) => {
  const units = ['store', 'warden', 'admin', 'edge-partner', 'edge-internal', 'verify'];
  for (const unit of units)
    t.match(
      readFileSync(join(project, 'deploy', 'systemd', `cofferdam-${unit}.service`), 'utf8'),
      /^RestrictSUIDSGID=yes$/m,
      unit,
    );
  const objects = join(temporaryDirectory(t), 'objects');
  mkdirSync(objects);
  chmodSync(objects, 0o2750);
  const refused = await within(
    "import { mkdirSync } from 'node:fs'; mkdirSync(process.argv[1], { mode: 0o2750 })",
    join(objects, 'asked'),
  );
  t.match(refused.err, /EPERM/, 'deny twin: here nobody may ask for the bit');
  const object = newObject();
  const done = await within(puts, objects, object);
  t.equal(done.code, 0, done.err);
  for (const path of [join(objects, 'new'), join(objectPath(objects, object), '..')])
    t.equal(statSync(path).mode & 0o7777, 0o2750, 'the bit goes on by itself');
});
