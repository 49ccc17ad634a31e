// What has a name in an incoming directory, one link and the declared size, and is no file.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import type { NodeName, ObjectId } from '../../server/domain/ids.ts';
import { stageObject } from '../../server/extents/object-store.ts';

test('a pipe is refused, and nobody waits for its other end', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'cofferdam-store-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const paths = { incoming: (name: string) => join(root, name), objects: join(root, 'objects') };
  const node = 'partner-1' as NodeName;
  const object = '0'.repeat(32) as ObjectId;
  mkdirSync(paths.incoming(node));
  mkdirSync(paths.objects);
  execFileSync('mkfifo', [join(paths.incoming(node), object)]);
  await t.rejects(stageObject(paths, node, object, 0), { code: 'invalid', message: /a regular file/ });
});
