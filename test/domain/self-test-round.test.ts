// A control counts as effective only when something was refused: no prompt at all shows nothing.
import { test } from 'tap';
import { verdictsOfWrongCodes, type WrongCodesTried } from '../../server/domain/self-test-round.ts';

const refused: WrongCodesTried = { isOpen: false, asked: 3, reason: 'too many attempts', seconds: 2 };
/** Returns which of the two controls bite. */
const bite = (tried: Partial<WrongCodesTried>): readonly string[] =>
  verdictsOfWrongCodes({ ...refused, ...tried }, 6)
    .filter((one) => one.bites)
    .map((one) => one.check);

test('a login with wrong codes shows a control only when a code was refused', (t) => {
  t.same(bite({}), ['wrong-code', 'lockout']);
  t.same(bite({ isOpen: true }), [], 'a session was opened');
  t.same(bite({ asked: 0 }), [], 'nobody asked for a code, so that none was refused');
  t.match(
    verdictsOfWrongCodes({ ...refused, asked: 0 }, 6)[0]?.text,
    /no code was ever asked for \(too many attempts\)/,
  );
  t.same(bite({ asked: 1 }), ['wrong-code', 'lockout'], 'one is enough');
  t.same(bite({ asked: 10 }), ['wrong-code', 'lockout']);
  t.same(bite({ asked: 11 }), ['wrong-code'], 'codes may be tried again and again');
  t.same(bite({ seconds: 21.9 }), ['wrong-code', 'lockout']);
  t.same(bite({ seconds: 22 }), ['wrong-code'], 'the time ended it, and not the number of codes');
  t.end();
});
