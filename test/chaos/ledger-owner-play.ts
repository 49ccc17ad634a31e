// Owns: one touch of the owner from its beginning to its end: made, found in time or not, made again while it stands,
// put back; after that nobody finds anything.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Report } from '../../verifier/index.js';
import { firstFound, holdsSoon } from '../support/until.ts';
import { asOwner, hasGrown, keep, putAllBack, putOldBack, putWaitingBack } from './ledger-kept.ts';
import type { OwnersTouch } from './ledger-owner.ts';
import type { LedgerScene } from './ledger-scene.ts';

export type Told = {
  readonly name: string;
  readonly isFound: boolean;
  /** By whom: `freeze`, `verifier`. */
  readonly by: string;
  readonly seconds: number;
  readonly isLate: boolean;
  /** What else was wrong: another sentence, or a false alert after it was put back. */
  readonly faults: readonly string[];
};
export type Check = () => Promise<{
  readonly report: Report;
  readonly missing: number;
  readonly twice: number;
  readonly freezes: readonly string[];
}>;

const patience = { withinMs: 90_000, everyMs: 10 };
const [headsBack, settleMs] = [3, 200];
/** Longer than a sealer's look at the record takes. */
const lookMs = 1500;
type Freeze = { readonly text: string; readonly why: string };

const freezeOf = async (scene: LedgerScene): Promise<Freeze | undefined> =>
  scene.withClient(
    async (client) =>
      (await client.query<Freeze>('select text, why from ledger_freeze where released_at is null')).rows[0],
  );

const heads = (scene: LedgerScene): Promise<{ heads: number; witnessed: number }> =>
  scene.withClient(
    async (client) =>
      (
        await client.query(
          'select (select count(*) from ledger_head)::int as heads, coalesce(witnessed_size, 0)::int as witnessed from ledger_state',
        )
      ).rows[0],
  );

/** More heads are witnessed than there are now. */
async function goesOn(scene: LedgerScene, by = 1): Promise<boolean> {
  const before = await heads(scene);
  return holdsSoon(async () => (await heads(scene)).witnessed >= before.heads + by, patience);
}

export async function play(scene: LedgerScene, touch: OwnersTouch, isDown: boolean, look: Check): Promise<Told> {
  const faults: string[] = [];
  const name = `${touch.name}${isDown ? ', while no sealer runs' : ''}`;
  if (touch.isOlder) await scene.withClient((client) => asOwner(client, () => keep(client, 'older')));
  if (!(await goesOn(scene, headsBack)))
    return {
      name,
      isFound: false,
      by: 'nobody',
      seconds: 0,
      isLate: true,
      faults: [`before ${name}: nothing was witnessed`],
    };
  if (isDown) await scene.holdSealers();
  await scene.withClient((client) =>
    asOwner(client, async () => {
      await keep(client, 'kept');
      await touch.touch(client);
    }),
  );
  let from = performance.now();
  if (isDown) {
    await scene.freeSealers();
    from = performance.now();
  }
  if (touch.comes === 'epoch')
    await scene.withClient((client) => client.query('update ledger_state set epoch_asked_at = clock_timestamp()'));
  if (touch.comes === 'leader' && !isDown) {
    await scene.holdSealers();
    await scene.freeSealers();
    from = performance.now();
  }
  const found = touch.by === 'nobody' ? undefined : await find(scene, touch, look);
  const seconds = (performance.now() - from) / 1000;
  if (found?.by === 'freeze' && touch.says !== undefined && !touch.says.test(found.text))
    faults.push(`${name}: frozen, and it says ${found.text}`);
  // Whoever removes the freeze and leaves the touch gains nothing.
  if (found?.by === 'freeze') {
    await thaw(scene);
    if ((await firstFound(() => freezeOf(scene), patience)) === undefined)
      faults.push(`${name}: the freeze was deleted, and nobody froze it again`);
  }
  if (touch.by === 'nobody' && !(await goesOn(scene))) faults.push(`${name}: nothing was sealed afterwards`);
  await putBack(scene, touch);
  // A look that began before it was put back may freeze the record after that; one that begins now finds nothing.
  await sleep(lookMs);
  await thaw(scene);
  if (!(await goesOn(scene)))
    faults.push(
      `${name}: put back as it was, and nothing was sealed for ${patience.withinMs / 1000} s: ${(await freezeOf(scene))?.text}`,
    );
  await sleep(settleMs);
  scene.frozen.splice(0);
  const after = await look();
  const wrong = [...after.report.findings.map((one) => one.text), ...after.freezes];
  if (wrong.length > 0) faults.push(`${name}: put back as it was, and found again: ${wrong.slice(0, 3).join(' | ')}`);
  return {
    name,
    isFound: found !== undefined,
    by: found?.by ?? 'nobody',
    seconds,
    isLate: found !== undefined && seconds > touch.withinSeconds,
    faults,
  };
}

async function find(
  scene: LedgerScene,
  touch: OwnersTouch,
  look: Check,
): Promise<{ by: string; text: string } | undefined> {
  if (touch.by === 'freeze') {
    const freeze = await firstFound(() => freezeOf(scene), patience);
    return freeze === undefined ? undefined : { by: 'freeze', text: freeze.text };
  }
  const { report } = await look();
  return report.ok ? undefined : { by: 'verifier', text: report.findings[0]?.text ?? '' };
}

const thaw = (scene: LedgerScene): Promise<unknown> =>
  scene.withClient((client) => client.query('delete from ledger_freeze'));

async function putBack(scene: LedgerScene, touch: OwnersTouch): Promise<void> {
  if (touch.restarts) await scene.holdSealers();
  await scene.withClient((client) =>
    asOwner(client, async () => {
      if (touch.by !== 'nobody' && !touch.isOfWaiting)
        await (!touch.restarts && (await hasGrown(client)) ? putOldBack(client) : putAllBack(client, 'kept'));
      await putWaitingBack(client);
      await client.query('delete from ledger_freeze');
    }),
  );
  if (touch.restarts) await scene.freeSealers();
}
