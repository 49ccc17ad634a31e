// Owns: what must be true of what is stored while one of the edges lies, without the product's code: by the rows of
// versions and extents, and by the files of the store.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { digestOf } from '../support/sealed-digest.ts';
import { type Scene, unsettledBytesMax } from './scene.ts';

/** How many bytes honest nodes may have on their way into the store, or left there by what they gave up. */
const bytesOfOthers = 32 * 2 ** 20;
/** It may be gone by now. */
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
const stampOf = (path: string): string | undefined => {
  try {
    const info = statSync(path, { bigint: true });
    return `${info.ino}/${info.size}/${info.mtimeNs}/${info.ctimeNs}`;
  } catch {
    return undefined;
  }
};

export class Stored {
  readonly #scene: Scene;
  readonly #violate: (what: string) => void;
  largestUnsettled = 0;

  constructor(scene: Scene, violate: (what: string) => void) {
    this.#scene = scene;
    this.#violate = violate;
  }

  async look(): Promise<void> {
    await this.#whatIsVisibleIsWhole();
    await this.#storeHoldsWhatRowsSay();
  }

  async #whatIsVisibleIsWhole(): Promise<void> {
    for (const fault of await this.#scene.rows<{ what: string; id: string }>(
      `select x.what, v.id from version v
         join lateral (select count(*) as n, coalesce(sum(e.bytes), 0) as bytes, coalesce(max(e.index) + 1, 0) as next, coalesce(max(e.start + e.bytes), 0) as ends,
             encode(sha256(coalesce(string_agg(e.digest, ''::bytea order by e.index), ''::bytea)), 'hex') as digest
           from extent e where e.content_id = v.content_id and e.index < v.extent_count) e on true
         cross join lateral (values
           ('it is published and has no receipt', v.state = 'published' and (v.receipt is null or v.closed_at is null)),
           ('it has a receipt and its extents are not those of its size', v.receipt is not null and v.state not in ('withdrawn', 'discarded') and (e.n <> v.extent_count or e.next <> v.extent_count or e.bytes <> v.size or e.ends <> v.size)),
           ('its receipt names other extents', v.receipt is not null and v.state not in ('withdrawn', 'discarded') and v.receipt not like '%"extents":"' || e.digest || '"%'),
           ('its receipt names another hash', v.receipt is not null and v.receipt not like '%"sha256":"' || encode(v.sha256, 'hex') || '"%'),
           ('it is closed and somebody holds it', v.receipt is not null and v.upload_id is not null)) x(what, is_so)
       where x.is_so`,
    ))
      this.#violate(`version ${fault.id}: ${fault.what}`);
    for (const { content } of await this.#scene.rows<{ content: string }>(
      'select content_id as content from version group by 1 having count(*) > 1',
    ))
      this.#violate(`content ${content} belongs to two versions`);
    for (const { name } of await this.#scene.rows<{ name: string }>(
      `select f.name from version v join file f on f.id = v.file_id where v.state = 'published' group by f.id, f.name having count(*) > 1
         and not bool_or((select replace_allowed from folder d where d.id = f.folder_id))`,
    ))
      this.#violate(`${name} is published twice in a folder that allows no replacing`);
  }

  readonly #checkedObjects = new Map<string, string>();

  async #storeHoldsWhatRowsSay(): Promise<void> {
    const objects = this.#scene.objects();
    const rows = await this.#scene.rows<{ object: string; digest: string; inline: Buffer | null; counts: boolean }>(
      `select e.object_id as object, encode(e.digest, 'hex') as digest, e.inline,
         exists (select from version v where v.content_id = e.content_id and v.state <> 'discarded' and e.index < v.extent_count) as counts from extent e`,
    );
    const known = new Set(rows.filter((one) => one.inline === null).map((one) => one.object));
    for (const { object, digest, inline, counts } of rows) {
      if (inline !== null) {
        if (digestOf(inline).toString('hex') !== digest)
          this.#violate(`extent ${object} in its row is not what its digest says`);
        continue;
      }
      const path = objects.get(object);
      if (path === undefined) {
        if (counts && existsSync(this.#scene.paths.objects))
          this.#violate(`object ${object} counts and is not in the store`);
        continue;
      }
      // An object never changes: its file is read again only when its times say that it was changed.
      const stamp = stampOf(path);
      if (stamp === undefined || this.#checkedObjects.get(object) === stamp) continue;
      if (digestOf(readFileSync(path)).toString('hex') !== digest)
        this.#violate(`object ${object} is not what its row says`);
      else this.#checkedObjects.set(object, stamp);
    }
    const doomed = new Set(
      (await this.#scene.rows<{ id: string }>('select object_id as id from doomed_object')).map(({ id }) => id),
    );
    // What is being written, and what was put and not sealed: of all nodes, the honest ones have little of it.
    const strays = [...objects].filter(([name]) => !known.has(name) && !doomed.has(name)).map(([, path]) => path);
    const bytes = [...strays, ...this.#scene.unfinished()].reduce((sum, path) => sum + sizeOf(path), 0);
    if (bytes > unsettledBytesMax + bytesOfOthers) this.#violate(`${bytes} bytes of the store belong to no extent`);
    this.largestUnsettled = Math.max(this.largestUnsettled, bytes);
  }
}
