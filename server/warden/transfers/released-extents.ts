// Owns: which extents this process has released through each open handle, so that a complete read is known without asking the record.
// Must never: say more than was committed. It may say less (a handle that another warden served, one of too many): then the record is asked.

/** `next`: every extent before it was released; `others`: those beyond. */
type Released = { next: number; readonly others: Set<number> };

const handlesMax = 20_000;
/** Clients read ahead by a few extents; who reads in a stranger order is counted by the record. */
const othersMax = 1024;

export class ReleasedExtents {
  readonly #handles = new Map<string, Released>();

  /** Once the charge and its entry are committed. */
  note(download: string, index: number): void {
    const known = this.#handles.get(download) ?? { next: 0, others: new Set<number>() };
    if (index > known.next && known.others.size < othersMax) known.others.add(index);
    if (index === known.next) {
      known.next += 1;
      while (known.others.delete(known.next)) known.next += 1;
    }
    if (this.#handles.has(download)) return;
    // Handles whose session ended without a close stay until others need their place.
    const [oldest] = this.#handles.size >= handlesMax ? this.#handles.keys() : [];
    if (oldest !== undefined) this.#handles.delete(oldest);
    this.#handles.set(download, known);
  }

  /** How many extents from the first on were released, without a gap; forgets the handle. */
  take(download: string): number {
    const { next } = this.#handles.get(download) ?? { next: 0 };
    this.#handles.delete(download);
    return next;
  }
}
