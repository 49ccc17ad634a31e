// A draft notice says of a customer's files what the record says: what may have been sent was not "not sent".
import { test } from 'tap';
import { assurance, type CustomerPack, notice } from '../../admin-cli/incident/letters.ts';

type Certainty = CustomerPack['files'][number]['certainty'];
const day = '2026-11-20T10:00:00.000Z';
const acme = { id: '6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11', isProved: true, name: 'acme' };
const asked = {
  selection: { account: 'acme' },
  window: { since: null, until: day },
  isEmpty: false,
  completeFrom: null,
  limits: [],
};

/** Returns the notice to a customer of whose files these things are known. */
function noticeOf(...files: readonly Certainty[]): string {
  const count = (certainty: Certainty): number => files.filter((one) => one === certainty).length;
  const pack = {
    totals: {
      entries: 9,
      certain: count('certain'),
      possible: count('possible'),
      unsent: count('unsent'),
      names: 0,
      deposits: 0,
      failedLogins: 0,
      releasedBytes: 1024,
    },
    files: files.map((certainty) => ({ certainty, first: day, last: day })),
    names: [],
    deposits: [],
    traces: [],
  } as unknown as CustomerPack;
  return notice(pack, new Date(day), acme, asked);
}

test('only when nothing was sent, and nothing may have been, it says so', (t) => {
  const nothing = /no file of yours was sent/;
  t.match(noticeOf(), nothing);
  t.match(noticeOf('unsent', 'unsent'), nothing);
  t.match(noticeOf('unsent', 'unsent'), /2 further files were opened; by our record nothing of them was sent/);
  t.match(noticeOf('certain'), /1 of your files were sent, and 0 more may have been/);
  t.match(noticeOf('possible', 'unsent'), /0 of your files were sent, and 1 more may have been/);
  for (const exposed of [noticeOf('certain'), noticeOf('possible', 'unsent')]) t.notMatch(exposed, nothing);
  t.end();
});

test('a letter says what the answer does not reach, and no letter of a whole answer does', (t) => {
  const limits = ['What the record holds from before May is in archives and was not looked at.'];
  const pack = {
    totals: { entries: 1, certain: 0, unsent: 0, names: 0, deposits: 0, failedLogins: 0, releasedBytes: 0 },
  };
  const given = { ...pack, files: [], names: [], deposits: [], traces: [] } as unknown as CustomerPack;
  for (const letterOf of [
    (more: readonly string[]) => assurance(acme, { entries: 3 }, { ...asked, limits: more }),
    (more: readonly string[]) => notice(given, new Date(day), acme, { ...asked, limits: more }),
  ]) {
    t.match(letterOf(limits), `This is not complete:\n\n- ${limits[0]}\n`);
    t.notMatch(letterOf([]), 'not complete');
  }
  t.end();
});
