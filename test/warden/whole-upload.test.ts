// T-31: what the warden itself knows against an upload that is stated to be whole, to the byte, each refusal by its
// reason.
import { test } from 'tap';
import { requireWhole } from '../../server/warden/transfers/close-upload.ts';
import type { OpenUpload } from '../../server/warden/transfers/upload-queries.ts';

type Known = {
  readonly size: number;
  readonly resumedBytes?: number;
  readonly base?: number;
  readonly refused?: string;
};
const said = (known: Known, whole = true, size = known.size): string => {
  const upload = {
    size: known.size,
    resumedBytes: known.resumedBytes ?? 0,
    refused: known.refused ?? null,
    base: known.base === undefined ? null : { size: known.base },
  } as OpenUpload;
  try {
    requireWhole(upload, { whole, size });
    return 'whole';
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : String(error);
  }
};

test('an upload is whole when nothing contradicts it', (t) => {
  const stays = 'it stays incomplete and can be resumed';
  t.equal(said({ size: 0 }), 'whole', 'an empty file');
  t.equal(said({ size: 10 }), 'whole');
  t.equal(said({ size: 10 }, false), `conflict: the file is not whole: ${stays}`);
  t.equal(said({ size: 10, refused: 'over-limit' }), `conflict: a part of this file was refused: ${stays}`);
  for (const size of [9, 11])
    t.equal(
      said({ size: 10 }, true, size),
      'conflict: the stored size differs from what was sent; send the file again',
      `${size}`,
    );
  const nothingAdded = 'conflict: nothing was added to an incomplete file: it stays incomplete';
  t.equal(said({ size: 10, resumedBytes: 9 }), 'whole', 'a byte was added');
  for (const resumedBytes of [10, 11])
    t.equal(said({ size: 10, resumedBytes }), nothingAdded, `resumed at ${resumedBytes}`);
  t.equal(said({ size: 10, base: 10 }), 'whole', 'as long as what it writes anew');
  t.equal(
    said({ size: 10, base: 11 }),
    'conflict: the file ends before the bytes that were stored already: it stays incomplete',
  );
  t.end();
});
