// Owns: the findings of `doctor`: what this process can really see, each with what to do next.
// Must never: report on something it did not look at.
import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { type Config, runtimePaths } from '../config/config.ts';
import type { Result } from '../rpc/operation.ts';
import type { OperatorToAdmin } from '../rpc/operator-admin.ts';
import type { ControlRow, DatabaseFacts, NodeRow } from './report-queries.ts';

export type Finding = Result<OperatorToAdmin, 'doctor'>['findings'][number];

const ok = (check: string, text: string): Finding => ({ check, verdict: 'ok', text, next: null });
const warning = (check: string, text: string, next: string): Finding => ({ check, verdict: 'warning', text, next });
const fault = (check: string, text: string, next: string): Finding => ({ check, verdict: 'fault', text, next });

export function databaseFindings(facts: DatabaseFacts): readonly Finding[] {
  const wrong = Object.entries(facts.settings).filter(([name, value]) =>
    name === 'default_transaction_isolation' ? value !== 'read committed' : value === 'off',
  );
  return [
    wrong.length === 0
      ? ok('database settings', 'fsync, full_page_writes and synchronous_commit are on')
      : fault(
          'database settings',
          wrong.map(([name, value]) => `${name} is ${value}`).join(', '),
          'set them in postgresql.conf and reload; until then acknowledged files may be lost',
        ),
    facts.patientRoles.length === 0
      ? ok('idle transactions', 'are ended within a minute for every role')
      : warning(
          'idle transactions',
          `idle_in_transaction_session_timeout is not set for ${facts.patientRoles.join(', ')}`,
          'run `cofferdam migrate`, which sets it',
        ),
    facts.oldSnapshots.length === 0
      ? ok('old snapshots', 'none: budget rows are pruned')
      : warning(
          'old snapshots',
          `${facts.oldSnapshots.join('; ')}: grants slow down to a tenth while it lives`,
          'end it (select pg_terminate_backend(…)), or drop the slot; back up with base backup and WAL, not with pg_dump',
        ),
    facts.excess.length === 0
      ? ok('database grants', 'the admin role has what the matrix gives it and nothing else')
      : fault(
          'database grants',
          `the admin role also has ${facts.excess.join(', ')}`,
          'run `cofferdam migrate`, which applies migrations/grants.sql again',
        ),
    facts.demoAccounts === 0
      ? ok('demo accounts', 'none')
      : warning(
          'demo accounts',
          `${facts.demoAccounts} demo accounts exist`,
          'fine on loopback; never put this database behind another address',
        ),
  ];
}

export function nodeFindings(nodes: readonly NodeRow[]): readonly Finding[] {
  return nodes.map((node) =>
    node.alive
      ? ok(
          `edge ${node.name}`,
          `renews its lease; ${node.sessions} open sessions${node.drainingUntil === null ? '' : `; drains until ${node.drainingUntil.toISOString()}`}`,
        )
      : fault(
          `edge ${node.name}`,
          `has not renewed its lease since ${node.lastSeenAt?.toISOString() ?? 'ever'}`,
          "look at the edge's log; the supervisor starts it again by itself",
        ),
  );
}

/** Rounds may take their time; three without a word are none. A node that has just started is given as long. */
const silentRounds = 3;
const roundMs = 60_000;

/** Nodes that serve and have not reported on their controls for too long; one that drains admits nobody, its own tests neither. */
export function silentNodes(config: Config, nodes: readonly NodeRow[], controls: readonly ControlRow[], now: Date): string[] {
  const { selfTestEveryMs } = config.limits;
  if (selfTestEveryMs === 0) return [];
  const oldest = now.getTime() - silentRounds * selfTestEveryMs - roundMs;
  return nodes
    .filter((node) => node.alive && node.drainingUntil === null && (node.startedAt === null || node.startedAt.getTime() < oldest))
    .filter((node) => !controls.some((one) => one.node === node.name && Date.parse(one.at) > oldest))
    .map((node) => node.name);
}

export function controlFindings(controls: readonly ControlRow[], silent: readonly string[]): readonly Finding[] {
  const failed = controls.filter((one) => !one.bites);
  return [
    ...failed.map((one) =>
      fault(
        `control ${one.check} of ${one.node}`,
        `${one.text}, since ${one.since}`,
        `treat ${one.node} as open: suspend what must not leak (customer suspend), then look at its configuration and at cofferctl budget show`,
      ),
    ),
    ...silent.map((node) =>
      fault(`controls of ${node}`, 'it serves, and does not report on its self-test', 'look at the edge\'s log for "self-test"'),
    ),
    ...(failed.length + silent.length === 0 && controls.length > 0
      ? [ok('controls', `${controls.length} controls were driven into their limit and bit`)]
      : []),
  ];
}

export function clockFinding(databaseNow: Date): Finding {
  const differenceMs = Math.abs(databaseNow.getTime() - Date.now());
  return differenceMs < 2000
    ? ok('clock', `database and this machine agree within ${Math.max(1, Math.round(differenceMs))} ms`)
    : fault(
        'clock',
        `database and this machine differ by ${Math.round(differenceMs / 1000)} s`,
        'set both clocks by NTP: codes and windows depend on them',
      );
}

export function certificateFinding(pem: string): Finding {
  const days = Math.floor((new Date(new X509Certificate(pem).validTo).getTime() - Date.now()) / 86_400_000);
  if (days < 0) return fault('admin certificate', `expired ${-days} days ago`, 'issue a new one with the scripts in certs/');
  return days < 30
    ? warning('admin certificate', `expires in ${days} days`, 'issue a new one with the scripts in certs/')
    : ok('admin certificate', `valid for ${days} more days`);
}

/** Whether each role's files belong to a user of its own. */
export function wallFinding(config: Config): Finding {
  const paths = runtimePaths(config);
  const owners = [paths.objects, ...config.edges.map((edge) => paths.incoming(edge.node)), `${config.runtimeDirectory}/run/admin`].map(
    (path) => statSync(path).uid,
  );
  const planes = new Set(config.edges.map((edge) => edge.plane)).size;
  return new Set(owners).size >= 2 + planes
    ? ok('users of the wall', 'warden, admin and the edges of each plane have users of their own')
    : warning(
        'users of the wall',
        'roles share one system user',
        'start as root or with the systemd units; outside development this is refused',
      );
}

export async function diskFinding(config: Config): Promise<Finding> {
  const { bavail, bsize } = await statfs(config.storeDirectory);
  const free = bavail * bsize;
  const floor = config.limits.freeSpaceFloorBytes;
  const text = `${Math.floor(free / 2 ** 30)} GiB free for the store`;
  if (free < floor) return fault('disk', `${text}: uploads are refused`, 'free space or enlarge the store');
  return free < 4 * floor ? warning('disk', text, 'enlarge the store soon') : ok('disk', text);
}
