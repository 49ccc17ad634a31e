// Owns: what a measurement leaves behind for the document about performance: its last report, below `var/`.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../../test/support/world.ts';
import type { Figures } from './figures.ts';
import type { Machine } from './machine.ts';
import type { SideName } from './side.ts';

export type TransfersReport = {
  readonly machine: Machine;
  readonly mib: number;
  readonly rounds: number;
  /** How processor time was counted, as the end of a sentence. */
  readonly cpuWords: string;
  readonly sides: readonly { readonly name: SideName; readonly title: string }[];
  /** Why ProFTPD was not measured; null when it was. */
  readonly proftpdMissing: string | null;
  readonly figures: Figures;
};
export type SessionsReport = {
  readonly machine: Machine;
  readonly sessions: number;
  readonly mibPerSession: number;
  readonly idleCpuPercent: number;
  /** The same without a session. */
  readonly restCpuPercent: number;
  readonly restMib: number;
  readonly mib: number;
  readonly idleSeconds: number;
};
export type Reports = { readonly transfers: TransfersReport; readonly sessions: SessionsReport };

const directory = join(project, 'var', 'bench');

export function keepReport<Name extends keyof Reports>(name: Name, report: Reports[Name]): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
}

/** The last report of this name; undefined when nothing was measured here. */
export function lastReport<Name extends keyof Reports>(name: Name): Reports[Name] | undefined {
  const path = join(directory, `${name}.json`);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Reports[Name]) : undefined;
}
