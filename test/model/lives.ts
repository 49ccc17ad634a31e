// Owns: what is known about the lives of files: how often each was read, how many days passed for it, and who keeps it;
// and what may therefore become of it.
import type { Look } from './look.ts';
import type { Seen } from './oracle.ts';

const count = (counts: Map<string, number>, key: string, by = 1): number => {
  const now = (counts.get(key) ?? 0) + by;
  counts.set(key, now);
  return now;
};

export class Lives {
  readonly #look: Look;
  /** By path: reads that may have been complete. */
  readonly #tried = new Map<string, number>();
  /** By digest: reads that were complete. */
  readonly #read = new Map<string, number>();
  /** By digest: the bytes that readers got. */
  readonly bytesRead = new Map<string, number>();
  /** By version. */
  readonly #days = new Map<string, number>();
  readonly #holds = new Map<string, string>();

  constructor(look: Look) {
    this.#look = look;
  }

  tries(path: string): void {
    count(this.#tried, path);
  }

  read(path: string, sha: string, bytes: number): void {
    count(this.#tried, path);
    count(this.#read, sha);
    count(this.bytesRead, sha, bytes);
  }

  passed(versions: readonly string[], days: number): void {
    for (const one of versions) count(this.#days, one, days);
  }

  held(version: string, hold: string): void {
    this.#holds.set(version, hold);
  }

  /** The hold on this version, which is being lifted. */
  letGo(version: string): string | undefined {
    const hold = this.#holds.get(version);
    this.#holds.delete(version);
    return hold;
  }

  /** Returns whether a version that was published may be in another state now. */
  mayBecome(row: Seen, state: string): boolean {
    return this.mayLeave(row, state) || (state === 'withdrawn' && this.#look.folderOf(row.path).replace);
  }

  /** The same by reads and time alone, which happen without anybody asking. */
  mayLeave({ id, path }: Seen, state: string): boolean {
    const { readsMax, windowDays, retentionDays } = this.#look.folderOf(path);
    const days = this.#days.get(id) ?? 0;
    const isPast = (limit: number | null): boolean => limit !== null && days >= limit;
    if (state === 'withdrawn')
      return isPast(windowDays) || (readsMax !== null && (this.#tried.get(path) ?? 0) >= readsMax);
    return state === 'destroyed' && isPast(retentionDays) && !this.#holds.has(id);
  }

  /** What should be gone by now and is still there. */
  leaving(rows: readonly Seen[]): readonly string[] {
    return rows.flatMap(({ id, path, state, sha, size }) => {
      const { readsMax, windowDays, retentionDays } = this.#look.folderOf(path);
      const days = this.#days.get(id) ?? 0;
      const isRead = size > 0 && readsMax !== null && (this.#read.get(sha ?? '') ?? 0) >= readsMax;
      if (state === 'published' && isRead) return [`${path} was read ${readsMax} times and is still published`];
      if (state === 'published' && windowDays !== null && days >= windowDays)
        return [`${path} is still published after ${days} days`];
      if (state === 'withdrawn' && retentionDays !== null && days >= retentionDays && !this.#holds.has(id))
        return [`${path} is not destroyed after ${days} days, and nobody keeps it`];
      return [];
    });
  }
}
