// Who may read in a folder: whoever has the verb, and at edges of the partner plane, where the folder permits it,
// whoever deposits there and may list.
import { test } from 'tap';
import type { Plane, Verb } from '../../server/domain/ids.ts';
import { mayRead } from '../../server/warden/transfers/looks.ts';

type Given = Parameters<typeof mayRead>;
const asks = (plane: Plane, direction: 'deposit' | 'collect', readBack: boolean, ...verbs: Verb[]): boolean =>
  mayRead({ account: { plane } } as Given[0], { direction, readBack, verbs: new Set(verbs) } as unknown as Given[1]);

test('reading back is for depositors at edges of the partner plane', (t) => {
  t.ok(asks('partner', 'deposit', true, 'list', 'write'), 'a depositor, where the folder says so');
  t.notOk(asks('internal', 'deposit', true, 'list', 'write'), 'never on the internal plane');
  t.notOk(asks('partner', 'deposit', false, 'list', 'write'), 'not where the folder does not say so');
  t.notOk(asks('partner', 'deposit', true, 'write'), 'not without list');
  t.notOk(asks('partner', 'collect', true, 'list'), 'not where files are collected');
  for (const plane of ['partner', 'internal'] as const)
    t.ok(asks(plane, 'deposit', false, 'read'), `${plane}: who has the verb`);
  t.end();
});
