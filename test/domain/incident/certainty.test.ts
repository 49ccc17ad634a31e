import { test } from 'tap';
import { certaintyOf, type HandleEnd, verdictOf } from '../../../server/domain/incident/certainty.ts';

const end = (isReleased: boolean, by?: string | null, sentBytes: number | null = null): HandleEnd => ({
  isReleased,
  closed: by === undefined ? null : { by, sentBytes },
});

test('what one handle says', async (t) => {
  const cases: readonly (readonly [string, HandleEnd, string])[] = [
    ['the client closed it after bytes went out', end(true, 'client', 10), 'sent'],
    ['the client closed it, nothing went out', end(true, 'client', 0), 'nothing'],
    ['it was cut after bytes went out', end(true, 'cut', 10), 'unclear'],
    ['it was cut before anything went out', end(true, 'cut', 0), 'nothing'],
    ['it was never closed', end(true), 'unclear'],
    ['who closed it is not known', end(true, null, 10), 'unclear'],
    ['an unknown word is not the client', end(true, 'Client', 10), 'unclear'],
    ['how much went out is not known', end(true, 'client', null), 'unclear'],
    ['no key left, never closed', end(false), 'nothing'],
    ['no key left in the window, the client closed it after bytes', end(false, 'client', 10), 'sent'],
    ['no key left in the window, cut', end(false, 'cut', 10), 'nothing'],
  ];
  for (const [name, handle, verdict] of cases) t.equal(verdictOf(handle), verdict, name);
});

test('the surest handle decides', async (t) => {
  t.equal(certaintyOf({ sent: 1, unclear: 5 }), 'certain');
  t.equal(certaintyOf({ sent: 0, unclear: 1 }), 'possible');
  t.equal(certaintyOf({ sent: 0, unclear: 0 }), 'unsent');
});
