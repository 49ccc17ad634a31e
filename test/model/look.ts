// Owns: what a run sees of its own files: the rows of the catalogue, as the owner of the database reads them, and whole
// files as a client reads them.
import type { Seen } from './oracle.ts';
import type { ModelClient, Reply, Scene } from './scene.ts';
import { type FileName, type Folder, folders, names } from './steps.ts';

/** SSH_FXF_* */
export const flag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;
export const noSuchFile = 2;
const readBytes = 32_768;

export class Look {
  readonly scene: Scene;
  readonly prefix: string;

  constructor(scene: Scene, prefix: string) {
    this.scene = scene;
    this.prefix = prefix;
  }

  folderOf(path: string): Folder {
    const folder = folders.find((one) => path.startsWith(`/${one.name}/`));
    if (folder === undefined) throw new Error(`no folder of ${path}`);
    return folder;
  }

  path(at: FileName): string {
    const name = names[at.name] ?? names[0];
    // A leading dot and the endings keep their meaning for the gateway when the run's own word is put into the name.
    const own = name.startsWith('.') ? `.${this.prefix}${name.slice(1)}` : `${this.prefix}${name}`;
    return `/${folders[at.folder]?.name ?? ''}/${own}`;
  }

  /** Versions of this run's names: `v`, `f` the file and `w` its directory. */
  rowsOf<T>(columns: string, more = '', tail = ''): Promise<readonly T[]> {
    return this.scene.rows<T>(
      `select ${columns} from version v join file f on f.id = v.file_id join folder d on d.id = f.folder_id left join directory w on w.id = f.directory_id
         join account a on a.id = v.account_id ${more} where (f.name like $1 or f.name like $2 or w.name like $1) ${tail}`,
      [`${this.prefix}%`, `.${this.prefix}%`],
    );
  }

  /**
   * In the order in which they took their name: a file that was renamed onto a name may have been opened before the
   * file that it replaced.
   */
  rows(): Promise<readonly Seen[]> {
    return this.rowsOf<Seen>(
      `v.id, '/' || d.name || '/' || coalesce(w.name || '/', '') || f.name as path, v.state, encode(v.sha256, 'hex') as sha, v.size::float8 as size, a.name as account`,
      '',
      'order by path, v.number',
    );
  }

  async fetch(client: ModelClient, path: string): Promise<Reply<Buffer>> {
    const opened = await client.ask<Buffer>('open', path, flag.read, {});
    if (opened.kind !== 'ok') return opened;
    const attributes = await client.ask<{ size: number }>('fstat', opened.value);
    if (attributes.kind !== 'ok') return attributes;
    const whole = Buffer.alloc(attributes.value.size);
    for (let at = 0; at < whole.length; ) {
      const read = await client.ask<number>(
        'read',
        opened.value,
        whole,
        at,
        Math.min(readBytes, whole.length - at),
        at,
      );
      if (read.kind !== 'ok') return read;
      at += read.value;
    }
    const closed = await client.ask('close', opened.value);
    return closed.kind === 'ok' ? { kind: 'ok', value: whole } : (closed as Reply<Buffer>);
  }
}
