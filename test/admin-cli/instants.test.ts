// Instants as they are typed: each form, and the days that a month does not have.
import { test } from 'tap';
import { folderOf } from '../../admin-cli/incident/folder.ts';
import { instantOf } from '../../admin-cli/terminal/instant.ts';

test('days, instants and times ago are read exactly', (t) => {
  const of = (text: string): string => instantOf(text, 'since');
  t.equal(of('2026-11-30'), '2026-11-30T00:00:00.000Z');
  t.equal(of('2028-02-29'), '2028-02-29T00:00:00.000Z');
  t.equal(of('2026-11-30T18:00Z'), '2026-11-30T18:00:00.000Z');
  t.equal(of('2026-11-30T18:00:01.5Z'), '2026-11-30T18:00:01.500Z');
  t.ok(Math.abs(Date.parse(of('2d')) - (Date.now() - 2 * 86_400_000)) < 60_000);
  for (const wrong of [
    '2026-11-31',
    '2027-02-29',
    '2026-02-30T10:00Z',
    '2026-13-01',
    '2026-11-30T24:30Z',
    '2026-11-30T18:00',
    'yesterday',
    '',
    '-1d',
  ])
    t.throws(() => of(wrong), { message: new RegExp(`^--since takes a day .*, not "${wrong}"$`) }, wrong);
  t.end();
});

test('the folder of a customer is named by what has the form of an id', (t) => {
  const customerId = '0a5f1a2e-0000-4000-8000-000000000001';
  t.equal(folderOf({ customer: '../Acme', customerId }), `___cme_${customerId}`);
  t.equal(folderOf({ customer: 'acme', customerId: null }), 'acme');
  t.equal(folderOf({ customer: null, customerId: null }), 'none');
  for (const wrong of ['', '/../../elsewhere', `${customerId}/x`, customerId.toUpperCase()])
    t.throws(() => folderOf({ customer: 'acme', customerId: wrong }), { code: 'corrupt' }, wrong);
  t.end();
});
