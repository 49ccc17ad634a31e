// Owns: what became of the touches of a scene, and what was completed for the bank there, in whichever run it was.
/** What became of the touches of a scene. */
export class OwnersTally {
  touched = 0;
  mustFind = 0;
  found = 0;
  /** Files that were received completely while a row was touched, and those that were not. */
  whole = 0;
  refused = 0;
  worstSeconds = 0;
  late: string[] = [];
  /** By class. */
  readonly byClass: Record<string, number> = {};
  /** Bytes that somebody completed for the bank, in whichever run it was. */
  readonly completed = new Set<string>();
}
