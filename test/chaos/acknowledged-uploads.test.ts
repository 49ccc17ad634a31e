// Uploads while every process is killed at random moments: what was acknowledged is stored.
import { test } from 'tap';
import { startWorld } from '../support/world.ts';
import { acknowledgedUploads } from './acknowledged-uploads.ts';

test('25 rounds of uploads with kills at random moments: what was acknowledged is there, whole, and nothing false is', async (t) => {
  const world = await startWorld(t, { limits: { wardenRetryMs: 10_000 } });
  const outcome = await acknowledgedUploads(world, 25, 3);
  t.comment(JSON.stringify(outcome));
  t.equal(outcome.missing, 0, 'nothing acknowledged is missing');
  t.equal(outcome.altered, 0, 'nothing acknowledged is altered');
  t.equal(outcome.unacknowledgedVisible, 0, 'nothing visible differs from what its sender meant');
  t.ok(outcome.acknowledged > 20, `enough got through to mean something: ${outcome.acknowledged}`);
});
