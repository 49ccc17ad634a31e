// T-19: hashing in a bounded pool: questions that cost a stranger nothing cost us a bounded amount.
import { createHash } from 'node:crypto';
import { test } from 'tap';
import { defaultShares } from '../../server/config/shares.ts';
import type { Claim } from '../../server/domain/share.ts';
import { type Release, Slots } from '../../server/rpc/slots.ts';
import { hashPassword, nobodys, PasswordHashing, passwordName } from '../../server/warden/credentials/passwords.ts';

const password = `abcdefgh-${'k'.repeat(32)}`;
const claim = { holder: 'partner-1', group: 'partner' };
/** Says in which order the questions got a place; they are counted from 0. */
class WatchedSlots extends Slots {
  readonly served: number[] = [];
  #asked = 0;

  override acquire(of: Claim, isUrgent?: boolean): Promise<Release> {
    const question = this.#asked;
    this.#asked += 1;
    return super.acquire(of, isUrgent).then((release) => {
      this.served.push(question);
      return release;
    });
  }
}
const slotsOf = (waiting: number): WatchedSlots =>
  new WatchedSlots({ ...defaultShares.warden.hashes, total: 3, each: 2, reserve: 1, waiting });
const digest = createHash('sha256').update(password).digest('hex');

test('a right password is told from a wrong one, and a missing one costs as much', async (t) => {
  const hashing = new PasswordHashing(slotsOf(8));
  const stored = await hashPassword(digest);
  t.match(stored, /^\$argon2id\$v=19\$m=65536,t=3,p=1\$/);
  t.equal(
    nobodys.split('$').slice(0, 4).join('$'),
    stored.split('$').slice(0, 4).join('$'),
    'nobody’s hash costs what everybody’s does',
  );
  t.equal(nobodys.length, stored.length);
  t.equal(await hashing.verify(stored, password, false, claim), true);
  t.equal(await hashing.verify(stored, `${password.slice(0, -1)}l`, false, claim), false);
  t.equal(await hashing.verify(undefined, password, false, claim), false);
  t.not(await hashPassword(digest), stored, 'a salt of its own each time');
});

test('the name of a password finds its row, or no row', async (t) => {
  t.equal(passwordName(password), 'password:abcdefgh');
  for (const odd of [
    '',
    'x',
    password.toUpperCase(),
    `${password}x`,
    `${password}\n`,
    `abcdefg1-${'k'.repeat(32)}`,
    'password:abcdefgh',
  ])
    t.equal(passwordName(odd), 'password:aaaaaaaa', JSON.stringify(odd));
});

test('two hashes at once, a bounded queue, known sources first; the others are refused at once', async (t) => {
  const slots = slotsOf(3);
  const hashing = new PasswordHashing(slots);
  const stored = await hashPassword(digest);
  const order: string[] = [];
  const ask = (label: string, isKnown: boolean): Promise<boolean | undefined> =>
    hashing.verify(stored, password, isKnown, claim).then((isRight) => {
      order.push(`${label}${isRight === true ? '' : isRight === undefined ? ' refused' : ' wrong'}`);
      return isRight;
    });
  const all = [...Array.from({ length: 8 }, (_, i) => ask(`stranger ${i}`, false)), ask('known', true)];
  t.equal(hashing.waiting, 4, 'three strangers and the known one wait');
  const answers = await Promise.all(all);
  t.equal(answers.filter((one) => one).length, 2 + 3 + 1, 'what found no place was not looked at');
  t.same(
    order.filter((one) => one.includes('refused')).sort(),
    ['stranger 5 refused', 'stranger 6 refused', 'stranger 7 refused'],
    'and was answered first',
  );
  t.same(slots.served, [0, 1, 8, 2, 3, 4], 'the known one did not wait for the line');
  t.equal(hashing.waiting, 0);
});
