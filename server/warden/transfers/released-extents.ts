// Owns: which extents this process has released through each open handle, so that a complete read is known without
// asking the record.
// Must never: count an extent whose release was not committed. It may count too few (for a handle that another warden
// served, or when there are too many handles); then the record is asked.

/** The released extents of a handle. All extents before `next` were released, and beyond it those in `others`. */
type Released = { next: number; readonly others: Set<number> };

const handlesMax = 20_000;
/**
 * The largest number of extents beyond a gap that are remembered. Clients read ahead by a few extents; reads in another
 * order are counted by the record.
 */
const othersMax = 1024;

export class ReleasedExtents {
  readonly #handles = new Map<string, Released>();

  /** Notes a released extent. It is called after the charge and its entry are committed. */
  note(download: string, index: number): void {
    const known = this.#handles.get(download) ?? { next: 0, others: new Set<number>() };
    if (index > known.next && known.others.size < othersMax) known.others.add(index);
    if (index === known.next) {
      known.next += 1;
      while (known.others.delete(known.next)) known.next += 1;
    }
    if (this.#handles.has(download)) return;
    // A handle whose session ended without a close stays until its place is needed for another one.
    const [oldest] = this.#handles.size >= handlesMax ? this.#handles.keys() : [];
    if (oldest !== undefined) this.#handles.delete(oldest);
    this.#handles.set(download, known);
  }

  /** Returns how many extents were released from the first one on without a gap, and forgets the handle. */
  take(download: string): number {
    const { next } = this.#handles.get(download) ?? { next: 0 };
    this.#handles.delete(download);
    return next;
  }
}
