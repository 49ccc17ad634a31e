// Owns: the open handles of one session, limited in number, and the place of each in the order of its requests; a handle is good in its own session only.
// Must never: give a handle to a request that came behind its CLOSE.
import { randomBytes } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { VirtualPath } from '../../domain/paths.ts';
import type { Download } from './download.ts';
import type { Upload } from './upload.ts';

export type Handle =
  | { readonly kind: 'upload'; readonly upload: Upload }
  | { readonly kind: 'download'; readonly download: Download }
  | { readonly kind: 'directory'; readonly path: VirtualPath; after: string | undefined; isStarted: boolean; isDone: boolean };

/** `waiting`: requests on it that were taken and have not begun. What comes behind them waits as well: requests on one handle have one order. */
export type OpenHandle = { readonly handle: Handle; waiting: number; isClosing: boolean };

const handleBytes = 8;

export class Handles {
  readonly #max: number;
  readonly #open = new Map<string, OpenHandle>();

  constructor(max: number) {
    this.#max = max;
  }

  requireRoom(): void {
    if (this.#open.size >= this.#max) throw new CofferdamError('over-limit', `no more than ${this.#max} files may be open at once`);
  }

  add(handle: Handle): Buffer {
    const name = randomBytes(handleBytes);
    this.#open.set(name.toString('latin1'), { handle, waiting: 0, isClosing: false });
    return name;
  }

  get(name: Buffer): OpenHandle {
    const open = this.#open.get(name.toString('latin1'));
    if (open === undefined || open.isClosing) throw new CofferdamError('invalid', 'this handle is not open');
    return open;
  }

  /** Gets the handle and closes its name: whatever is asked from now on, it cannot be used again. It keeps its place until `free`. */
  close(name: Buffer): OpenHandle {
    const open = this.get(name);
    open.isClosing = true;
    return open;
  }

  /** Its CLOSE has begun: what becomes of the file is said there. */
  free(gone: OpenHandle): void {
    for (const [name, open] of this.#open) if (open === gone) this.#open.delete(name);
  }

  get hasFiles(): boolean {
    return [...this.#open.values()].some(({ handle }) => handle.kind !== 'directory');
  }

  /** All that are open, and those whose CLOSE never began. */
  drain(): readonly Handle[] {
    const all = [...this.#open.values()].map(({ handle }) => handle);
    this.#open.clear();
    return all;
  }
}
