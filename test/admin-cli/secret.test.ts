// A secret that a command makes is in its file before it is valid, and no file is left of one that was refused.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { handOver } from '../../admin-cli/terminal/secret.ts';
import type { Given } from '../../admin-cli/verb/verb.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { temporaryDirectory } from '../support/database.ts';

const secret = 'a word that counts';
const given = (out: string): Given => ({
  words: ['password', 'issue'],
  positionals: [],
  options: { out },
  general: {},
  isTerminal: false,
  isJson: false,
  paths: { bootstrapSocket: '', witness: '' },
});

test('a secret is in its file before it counts, whatever ends the command then', async (t) => {
  const out = join(temporaryDirectory(t), 'secret');
  let seen = '';
  const { result, handed } = await handOver(given(out), secret, async () => {
    seen = readFileSync(out, 'utf8');
    return 1;
  });
  t.equal(seen, `${secret}\n`, 'a process that is killed here leaves nothing valid that nobody knows');
  t.same([result, handed.file, readFileSync(out, 'utf8')], [1, out, `${secret}\n`]);
});

test('a refused command leaves no file; one with an unknown outcome leaves it, and says so; an existing file is not touched', async (t) => {
  const directory = temporaryDirectory(t);
  const refused = join(directory, 'refused');
  await t.rejects(
    handOver(given(refused), secret, () => Promise.reject(new CofferdamError('conflict', 'there is one'))),
    { code: 'conflict', message: 'there is one' },
  );
  t.notOk(existsSync(refused));
  const unknown = join(directory, 'unknown');
  await t.rejects(
    handOver(given(unknown), secret, () =>
      Promise.reject(new CofferdamError('unavailable', 'the connection was lost')),
    ),
    { code: 'unavailable', message: `the connection was lost. If it was done, ${unknown} holds the secret` },
  );
  t.equal(readFileSync(unknown, 'utf8'), `${secret}\n`);
  const there = join(directory, 'there');
  writeFileSync(there, 'mine');
  let isRegistered = false;
  await t.rejects(
    handOver(given(there), secret, async () => (isRegistered = true)),
    /takes a file that does not exist yet/,
  );
  t.notOk(isRegistered);
  t.equal(readFileSync(there, 'utf8'), 'mine');
});
