// Owns: the path of a sealed object as an edge reads it. It is written by the store only.
import { idOf, type ObjectId } from '../../domain/ids.ts';
import { objectPath } from '../../extents/directory-store.ts';

export function objectFile(objects: string, objectId: string): string {
  return objectPath(objects, idOf<ObjectId>(objectId));
}
