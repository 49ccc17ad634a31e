// Owns: fuzzing a whole gateway for a time: many rounds beside each other, and what must be true meanwhile and
// afterwards.

import { readFileSync } from 'node:fs';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { wideAllowancesEnv, wideBudgetsEnv } from '../support/bank.ts';
import type { Teardown } from '../support/database.ts';
import { harmOf, memoryOf } from '../support/stall.ts';
import { startWorld } from '../support/world.ts';
import { wideFaultsEnv } from '../support/wrong-forms.ts';
import { Random } from './mutate.ts';
import { authentication, handshake, type Round, rpcFrames, session } from './targets.ts';

export type FuzzResult = {
  readonly name: string;
  readonly rounds: number;
  readonly stallMs: number;
  readonly grownMiB: number;
  /** What must not have happened; empty when all is well. */
  readonly faults: readonly string[];
};

const targets: Readonly<Record<string, Round>> = { handshake, authentication, session, 'rpc frames': rpcFrames };
/** A warden accepts four connections for each node. */
const lanesOf = (name: string): number => (name === 'rpc frames' ? 2 : 8);
/** Fewer prove nothing, however slow the machine is. */
export const roundsMin = 100;
const stallMsMax = 1000;
const grownMiBMax = 100;

/** Each target for `secondsEach`. The same seed makes the same bytes; how they meet the clock differs. */
export async function runFuzz(
  t: Teardown,
  secondsEach: number,
  seed: number,
  report: (result: FuzzResult) => void,
): Promise<void> {
  const world = await startWorld(t, {
    limits: { unauthenticatedPerSourceMax: 400, unauthenticatedConnectionsMax: 400 },
    // It greets more often than any edge, on purpose: the test looks for defects, not for that refusal.
    env: { ...wideBudgetsEnv, ...wideAllowancesEnv, ...wideFaultsEnv },
  });
  const config = JSON.parse(readFileSync(`${world.directory}/run/config.json`, 'utf8')) as Config;
  const target = {
    port: world.demo.partner.port,
    account: 'globex-batch',
    key: readFileSync(world.keyFile('globex-batch'), 'utf8'),
    wardenSocket: runtimePaths(config).wardenSocket('internal-1'),
  };
  for (const [index, [name, round]] of Object.entries(targets).entries()) {
    const victim = name === 'rpc frames' ? 'warden' : 'partner-1';
    const still = name === 'rpc frames' ? world.pidsOf('internal-1') : [];
    for (const pid of still) process.kill(pid, 'SIGSTOP');
    const [pid = 0] = world.pidsOf(victim);
    const logged = world.log.length;
    let rounds = 0;
    const faults: string[] = [];
    const attack = (part: number, seconds: number) => async (): Promise<boolean> => {
      const until = performance.now() + seconds * 1000;
      await Promise.all(
        Array.from({ length: lanesOf(name) }, async (_, lane) => {
          const random = new Random(seed * 1000 + index * 100 + part * 10 + lane + 1);
          while (performance.now() < until || (part === 1 && rounds <= roundsMin)) {
            await round(target, random);
            rounds += 1;
          }
        }),
      );
      return true;
    };
    // The first part fills heaps and pools; growth after it is real growth.
    const warm = await harmOf(target.port, pid, attack(0, (secondsEach * 2) / 3));
    const before = memoryOf(pid);
    const harm = await harmOf(target.port, pid, attack(1, secondsEach / 3));
    for (const one of still) process.kill(one, 'SIGCONT');
    const grownMiB = Math.round((memoryOf(pid) - before) / 2 ** 20);
    if (warm.result !== true || harm.result !== true) faults.push('the fuzzer itself failed');
    if (world.pidsOf(victim)[0] !== pid) faults.push('the process is another one');
    const stallMs = Math.max(warm.stallMs, harm.stallMs);
    if (stallMs >= stallMsMax) faults.push(`a stranger waited ${stallMs} ms`);
    if (grownMiB >= grownMiBMax) faults.push(`memory grew by ${grownMiB} MiB`);
    // The warden should log that an edge sends malformed messages, for the frames of a compromised one.
    const defects = (world.log.slice(logged).match(/^.*"level":(?:50|60).*$/gm) ?? []).filter(
      (line) => name !== 'rpc frames' || !line.includes('"msg":"an edge sent a malformed message'),
    );
    for (const line of [...new Set(defects)].slice(0, 5)) faults.push(line.slice(0, 1500));
    const good = await world.sftp('acme-batch', ['ls deposit']);
    if (good.code !== 0) faults.push(`a good session is refused afterwards: ${good.err}`);
    report({ name, rounds, stallMs, grownMiB, faults });
  }
}
