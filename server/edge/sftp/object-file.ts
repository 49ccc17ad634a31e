// Owns: the path of a sealed object as an edge reads it. The warden's side is server/extents/object-store.ts.
import { idOf, type ObjectId } from '../../domain/ids.ts';
import { objectPath } from '../../extents/object-store.ts';

export function objectFile(objects: string, objectId: string): string {
  return objectPath(objects, idOf<ObjectId>(objectId));
}
