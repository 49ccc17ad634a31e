// Owns: the findings about edges: leases and their lag, the cipher they run with, the verdicts of their self-tests.
import type { Limits } from '../../config/config.ts';
import type { ControlRow, NodeRow } from '../node/node-queries.ts';
import { type Finding, fault, ok, warning } from './finding.ts';

/** Returns the findings about leases. An edge that has waited longer than `leaseLostMs` for a renewal stops sending. */
export function nodeFindings(nodes: readonly NodeRow[], leaseLostMs: number): readonly Finding[] {
  return nodes.map((node) => {
    const check = `edge ${node.name}`;
    if (!node.alive)
      return fault(
        check,
        node.lastSeenAt === null
          ? 'has never renewed its lease'
          : `has not renewed its lease since ${node.lastSeenAt.toISOString()}`,
        "look at the edge's log; the supervisor starts it again by itself",
      );
    const text = `renewed its lease ${Math.round(node.lagMs ?? 0)} ms ago; ${node.sessions} open sessions${node.drainingUntil === null ? '' : `; drains until ${node.drainingUntil.toISOString()}`}`;
    return (node.lagMs ?? 0) > leaseLostMs
      ? warning(
          check,
          `${text}: late, transfers pause`,
          "run doctor again; if it stays late, look at the warden's and the database's load (top)",
        )
      : ok(check, text);
  });
}

/** Returns the findings about which of the serving nodes have the native cipher, according to the edges themselves. */
export function cipherFindings(nodes: readonly NodeRow[]): readonly Finding[] {
  const serving = nodes.filter((node) => node.alive);
  const without = serving.filter((node) => node.nativeCipher === false);
  const unknown = serving.filter((node) => node.nativeCipher === null);
  const names = (list: readonly NodeRow[]): string => list.map((node) => node.name).join(', ');
  return [
    ...(without.length === 0
      ? []
      : [
          warning(
            'native cipher',
            `${names(without)} run without it: slower, and not what is tested`,
            'node scripts/prepare.cjs compiles it; then restart, without allowSlowCipher',
          ),
        ]),
    ...(unknown.length === 0
      ? []
      : [
          warning(
            'native cipher',
            `${names(unknown)} do not say whether they have it`,
            'restart them: they run an older version',
          ),
        ]),
    ...(serving.length > 0 && without.length + unknown.length === 0
      ? [ok('native cipher', `${names(serving)} run with it`)]
      : []),
  ];
}

/**
 * The number of rounds of the self-test that a node may miss before it counts as silent, and the time that one round
 * may take. A node that has just started gets the same time.
 */
const silentRounds = 3;
const roundMs = 60_000;

/**
 * Returns the names of the nodes that serve and have not reported on their controls for too long. A draining node is
 * left out: it admits nobody, including its own tests.
 */
export function silentNodes(
  { selfTestEveryMs }: Pick<Limits, 'selfTestEveryMs'>,
  nodes: readonly NodeRow[],
  controls: readonly ControlRow[],
  now: Date,
): string[] {
  if (selfTestEveryMs === 0) return [];
  const oldest = now.getTime() - silentRounds * selfTestEveryMs - roundMs;
  return nodes
    .filter(
      (node) =>
        node.alive && node.drainingUntil === null && (node.startedAt === null || node.startedAt.getTime() < oldest),
    )
    .filter((node) => !controls.some((one) => one.node === node.name && Date.parse(one.at) > oldest))
    .map((node) => node.name);
}

/**
 * Returns the findings about controls. A control is a limit or refusal that each edge tries out on an account of its
 * own, in its self-test (T-20); `bites` says whether it refused what it must refuse. `silent` are the names of nodes
 * that have not reported on their controls for too long.
 */
export function controlFindings(controls: readonly ControlRow[], silent: readonly string[]): readonly Finding[] {
  const failed = controls.filter((one) => !one.bites);
  return [
    ...failed.map((one) =>
      fault(
        `control ${one.check} of ${one.node}`,
        `${one.text}, since ${one.since}`,
        `treat ${one.node} as if it had no such limit: suspend what must not leak (customer suspend), then look at its configuration and at cofferctl budget show`,
      ),
    ),
    ...silent.map((node) =>
      fault(
        `controls of ${node}`,
        'it serves, and does not report on its self-test',
        'look at the edge\'s log for "self-test"',
      ),
    ),
    ...(failed.length + silent.length === 0 && controls.length > 0
      ? [ok('controls', `${controls.length} controls were driven into their limit and worked`)]
      : []),
  ];
}
