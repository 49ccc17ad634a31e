// Owns: the open handles of one channel, which are limited in number for all channels of a session together, and the
// place of each in the order of the channel's requests. A handle is valid on its own channel only.
// Must never: return a handle to a request that came after the handle's CLOSE.
import { randomBytes } from 'node:crypto';
import { CofferdamError } from '../../domain/errors.ts';
import type { VirtualPath } from '../../domain/paths.ts';
import type { Download } from './download.ts';
import type { Listing } from './listing.ts';
import type { WritableFile } from './small-upload.ts';

export type Handle =
  | { readonly kind: 'upload'; readonly upload: WritableFile }
  | { readonly kind: 'download'; readonly download: Download }
  | { readonly kind: 'directory'; readonly path: VirtualPath; readonly listing: Listing };

/**
 * `waiting` is the number of accepted requests on this handle that have not begun. Later requests
 * on the handle wait as well, because the requests on one handle are done in their order.
 */
export type OpenHandle = { readonly handle: Handle; waiting: number; isClosing: boolean };

const handleBytes = 8;

/** The handles that the channels of one session may have open together, and the channels that have them. */
export class HandlePlaces {
  readonly max: number;
  readonly channels = new Set<Handles>();
  taken = 0;

  constructor(max: number) {
    this.max = max;
  }
}

export class Handles {
  readonly #places: HandlePlaces;
  readonly #open = new Map<string, OpenHandle>();

  constructor(places: HandlePlaces) {
    this.#places = places;
  }

  requireRoom(): void {
    const { taken, max } = this.#places;
    if (taken >= max) throw new CofferdamError('over-limit', `no more than ${max} files may be open at once`);
  }

  add(handle: Handle): Buffer {
    const name = randomBytes(handleBytes);
    this.#places.taken += 1;
    this.#places.channels.add(this);
    this.#open.set(name.toString('latin1'), { handle, waiting: 0, isClosing: false });
    return name;
  }

  /** Returns the handle, or undefined when it is not open. */
  find(name: Buffer): OpenHandle | undefined {
    const open = this.#open.get(name.toString('latin1'));
    return open?.isClosing === true ? undefined : open;
  }

  /**
   * Returns the upload that the warden knows under this id, or undefined when no open handle of the session writes it,
   * on whichever of its channels.
   */
  findUpload(id: string): WritableFile | undefined {
    for (const channel of this.#places.channels)
      for (const { handle, isClosing } of channel.#open.values())
        if (!isClosing && handle.kind === 'upload' && handle.upload.id === id) return handle.upload;
    return undefined;
  }

  get(name: Buffer): OpenHandle {
    const open = this.find(name);
    if (open === undefined) throw new CofferdamError('invalid', 'this handle is not open');
    return open;
  }

  /**
   * Returns the handle and closes its name, so that no later request can use it. The handle counts as open until
   * `free`.
   */
  close(name: Buffer): OpenHandle {
    const open = this.get(name);
    open.isClosing = true;
    return open;
  }

  /** Removes the handle when its CLOSE has begun. The answer to that CLOSE tells what became of the file. */
  free(gone: OpenHandle): void {
    for (const [name, open] of this.#open) if (open === gone && this.#open.delete(name)) this.#places.taken -= 1;
    this.#leaveWhenEmpty();
  }

  get hasFiles(): boolean {
    return [...this.#open.values()].some(({ handle }) => handle.kind !== 'directory');
  }

  /** The files that are open for writing. */
  *writing(): Generator<WritableFile> {
    for (const { handle } of this.#open.values()) if (handle.kind === 'upload') yield handle.upload;
  }

  /** Removes and returns all handles, including those whose CLOSE has not begun. */
  drain(): readonly Handle[] {
    const all = [...this.#open.values()].map(({ handle }) => handle);
    this.#places.taken -= this.#open.size;
    this.#open.clear();
    this.#leaveWhenEmpty();
    return all;
  }

  /** A channel without open handles is not looked through, and is not kept when it has ended. */
  #leaveWhenEmpty(): void {
    if (this.#open.size === 0) this.#places.channels.delete(this);
  }
}
