// T-34: what an outsider causes again and again takes a bounded number of lines in the log, and one line with the
// number of the others.
import { test } from 'tap';
import { LineBounds } from '../../server/observability/line-bounds.ts';
import { project, run } from '../support/world.ts';

const warn = 40;
const said = (
  bounds: LineBounds,
  number: number,
  message: string,
  fields: (i: number) => Record<string, unknown>,
): number => Array.from({ length: number }, (_, i) => bounds.take(warn, message, fields(i))).filter(Boolean).length;

test('a bounded number of lines of one kind about one subject, and the number of the others', async (t) => {
  const bounds = new LineBounds();
  t.equal(
    said(bounds, 1000, 'refused', () => ({ socket: 'a', reason: 'no certificate' })),
    10,
  );
  t.equal(
    said(bounds, 3, 'refused', () => ({ socket: 'a', reason: 'revoked' })),
    3,
    'another reason',
  );
  t.equal(
    said(bounds, 3, 'refused', () => ({ socket: 'b', reason: 'no certificate' })),
    3,
    'another socket',
  );
  t.equal(
    said(bounds, 1, 'serves', () => ({})),
    1,
    'another event',
  );
  t.same(bounds.flush(), [
    { level: warn, message: 'refused', of: { socket: 'a', reason: 'no certificate' }, more: 990 },
  ]);
  t.same(bounds.flush(), [], 'once');
  t.equal(
    said(bounds, 1, 'refused', () => ({ socket: 'a', reason: 'no certificate' })),
    1,
    'the next minute has its own',
  );
});

test('whoever chooses the subjects or the texts of lines cannot choose how many lines there are', async (t) => {
  const bounds = new LineBounds();
  const odd = (i: number) => ({
    reason: `odd ${i} ${'x'.repeat(i % 500)}`,
    source: { address: `192.0.2.${i % 250}`, port: i },
  });
  t.equal(said(bounds, 5000, 'refused', odd), 60, '50 subjects, and ten lines of all others');
  t.same(bounds.flush(), [{ level: warn, message: 'refused', of: 'others', more: 4940 }]);
  t.equal(
    said(bounds, 100, 'refused', (i) => ({ source: { address: `192.0.2.${i}`, port: i } })),
    10,
    'an address is no subject',
  );
  let written = 0;
  for (let i = 0; i < 50_000; i += 1) written += bounds.take(warn, `text ${i}`, {}) ? 1 : 0;
  t.ok(written <= 600, `${written} of 50,000 texts`);
});

const program = `
import { createLogger } from './server/observability/logger.ts';
const log = createLogger({ log: { level: 'info', pretty: false } }, 'test', 'partner-1');
for (let i = 0; i < 500; i += 1) {
  log.warn({ reason: 'no certificate' }, 'refused');
  log.error(new Error('broken'), 'it broke');
  log.info('by itself');
  log.info({ alert: i, subject: i }, 'an alert');
  log.debug('for whoever asked');
}
log.fatal('the last word');
`;

test('at its end a process logs the numbers that it had not logged yet, and every alert', async (t) => {
  const { err, code } = await run(process.execPath, ['--input-type=module', '-e', program], { cwd: project });
  t.equal(code, 0, err.slice(0, 1000));
  const lines = err
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const of = (message: string) => lines.filter((line) => line.msg === message);
  t.equal(of('refused').length, 10);
  t.equal(of('it broke').length, 10);
  t.equal(of('by itself').length, 10);
  t.equal(of('an alert').length, 500, 'an alert counts as told');
  t.equal(of('the last word').length, 1);
  const [more, ...further] = of('refused (490 more times within a minute)');
  t.match(more, { unwritten: 490, reason: 'no certificate', level: 40, node: 'partner-1' });
  t.same(further, []);
  t.match(of('it broke (490 more times within a minute)'), [{ level: 50, unwritten: 490 }]);
  t.match(of('by itself (490 more times within a minute)'), [{ level: 30, unwritten: 490 }]);
});
