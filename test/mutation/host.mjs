// Owns: a process that tries many slips, one after the other, against tests that begin no process and no thread: what
// takes a test a quarter of a second to begin is done once. Its parent (trial.ts) sees to it that a trial which hangs,
// or which leaves something behind, decides about no other.
import { Test } from 'tap';
import { trial } from './put-in.mjs';

let root;
export const current = () => root;
let fail = () => {};

// Whose these are is not known for certain: the parent tries that slip again, alone.
for (const event of ['uncaughtException', 'unhandledRejection'])
  process.on(event, (error) => error !== 'bailout' && fail('stray'));

async function tried(url) {
  root = new Test({ name: 'trial', bail: true });
  root.resume();
  const failed = new Promise((resolve) => (fail = resolve));
  const ended = new Promise((resolve) =>
    root.on('complete', () => resolve(root.results?.ok === true ? 'passed' : 'failed')),
  );
  root.on('bailout', () => fail('failed'));
  try {
    await Promise.race([import(`${url}?trial=${trial.number}`), failed]);
  } catch {
    return 'failed';
  }
  root.end();
  return Promise.race([ended, failed]);
}

process.on('message', async ({ url, slip }) => {
  trial.number += 1;
  trial.slip = slip;
  process.send(await tried(url));
});
process.on('disconnect', () => process.exit(0));
process.send('ready');
