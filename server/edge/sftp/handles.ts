// Owns: the open handles of one session, limited in number; a handle is good in its own session only.
import { randomBytes } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { VirtualPath } from '../../domain/paths.ts';
import type { Download } from './download.ts';
import type { Upload } from './upload.ts';

export type Handle =
  | { readonly kind: 'upload'; readonly upload: Upload }
  | { readonly kind: 'download'; readonly download: Download }
  | { readonly kind: 'directory'; readonly path: VirtualPath; after: string | undefined; isStarted: boolean; isDone: boolean };

const handleBytes = 8;

export class Handles {
  readonly #max: number;
  readonly #open = new Map<string, Handle>();

  constructor(max: number) {
    this.#max = max;
  }

  requireRoom(): void {
    if (this.#open.size >= this.#max) throw new CofferdamError('over-limit', `no more than ${this.#max} files may be open at once`);
  }

  add(handle: Handle): Buffer {
    const name = randomBytes(handleBytes);
    this.#open.set(name.toString('latin1'), handle);
    return name;
  }

  get(name: Buffer): Handle {
    const handle = this.#open.get(name.toString('latin1'));
    if (handle === undefined) throw new CofferdamError('invalid', 'this handle is not open');
    return handle;
  }

  /** Gets the handle and closes its name: whatever follows, it cannot be used again. */
  take(name: Buffer): Handle {
    const handle = this.get(name);
    this.#open.delete(name.toString('latin1'));
    return handle;
  }

  get hasFiles(): boolean {
    return [...this.#open.values()].some((handle) => handle.kind !== 'directory');
  }

  drain(): readonly Handle[] {
    const all = [...this.#open.values()];
    this.#open.clear();
    return all;
  }
}
