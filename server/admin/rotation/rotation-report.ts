// Owns: composing what operators read about a rotation.
import { CofferdamError } from '../../domain/errors.ts';
import type { Transaction } from '../../postgres/database.ts';
import type { Params } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { listRotations, type RotationItem, type RotationRow, rotationItems } from './rotation-queries.ts';

export async function showRotation(
  tx: Transaction,
  params: Params<OperatorToAdmin, 'rotation.show'>,
): Promise<{ readonly rotation: RotationRow; readonly items: readonly RotationItem[] }> {
  const [rotation] = await listRotations(tx, params.rotation);
  if (rotation === undefined)
    throw new CofferdamError('not-found', 'there is no such rotation: see `cofferctl rotation list`');
  return { rotation, items: await rotationItems(tx, params) };
}
