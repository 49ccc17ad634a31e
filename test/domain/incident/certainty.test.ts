// How certain an exposure is when several handles read the same extent.
import { test } from 'tap';
import { certainties, certaintyOf } from '../../../server/domain/incident/certainty.ts';

test('the most certain handle decides', async (t) => {
  t.same(certainties, ['certain', 'possible', 'unsent'], 'the surest first');
  t.equal(certaintyOf({ sent: 1, unclear: 5 }), 'certain');
  t.equal(certaintyOf({ sent: 0, unclear: 1 }), 'possible');
  t.equal(certaintyOf({ sent: 0, unclear: 0 }), 'unsent');
});
