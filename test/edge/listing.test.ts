// A directory read page by page: its own two names once, each entry once, then the end; and the line that people see of each.
import { test } from 'tap';
import { FieldReader, type as fx, readAttributes } from '../../server/edge/sftp/codec.ts';
import { longName } from '../../server/edge/sftp/operations.ts';
import { handleOf, honest, SessionBench, statusOf } from '../support/session-bench.ts';

const attributes = { kind: 'file', size: 5, permissions: 0o640, modifiedAt: 86_400 } as const;

function namesOf(packet: Buffer | undefined): readonly string[] {
  if (packet?.[0] !== fx.name) throw new Error('no names');
  const fields = new FieldReader(packet, 5);
  return Array.from({ length: fields.uint32() }, () => {
    const name = fields.string().toString();
    fields.string();
    readAttributes(fields);
    return name;
  });
}

test('page by page, then the end, as often as it is asked', async (t) => {
  const bench = new SessionBench(t);
  const asked: unknown[] = [];
  bench.script = (op, params) => {
    if (op !== 'tree.list') return honest(op, params);
    asked.push([params.after, params.limit]);
    const names = { undefined: ['a', 'b'], b: ['c'], c: [] }[String(params.after)] ?? [];
    const next = { undefined: 'b', b: 'c' }[String(params.after)];
    return { entries: names.map((name) => ({ name, attributes })), ...(next === undefined ? {} : { next }) };
  };
  const handle = handleOf(await bench.ask(fx.opendir, '/folder'));
  const read = () => bench.ask(fx.readdir, handle);
  t.same(namesOf(await read()), ['.', '..', 'a', 'b']);
  t.same(namesOf(await read()), ['c'], 'its own names stand on the first page only');
  t.same(namesOf(await read()), []);
  for (let i = 0; i < 2; i += 1) t.equal(statusOf(await read()), 1, 'the end');
  t.same(asked, [
    [undefined, 100],
    ['b', 100],
    ['c', 100],
  ]);
});

test('one line as ls shows it', (t) => {
  const now = new Date('2026-11-24T18:00:00Z');
  const line = (facts: { readonly at?: string; readonly mode?: number; readonly kind?: 'file' | 'directory' }) =>
    longName(
      'a b',
      {
        kind: facts.kind ?? 'file',
        size: 5,
        permissions: facts.mode ?? 0o640,
        modifiedAt: Date.parse(facts.at ?? '2026-11-03T07:05:00Z') / 1000,
      },
      now,
    );
  t.equal(line({}), '-rw-r-----   1 gateway  gateway             5 Nov  3 07:05 a b');
  t.equal(line({ kind: 'directory', mode: 0o751 }), 'drwxr-x--x   1 gateway  gateway             5 Nov  3 07:05 a b');
  t.equal(
    line({ at: '2025-01-31T23:59:00Z' }),
    '-rw-r-----   1 gateway  gateway             5 Jan 31  2025 a b',
    'half a year ago: the year',
  );
  t.equal(
    line({ at: '2026-05-26T18:00:01Z' }),
    '-rw-r-----   1 gateway  gateway             5 May 26 18:00 a b',
    'a second less than 182 days',
  );
  t.equal(line({ at: '2026-05-26T18:00:00Z' }), '-rw-r-----   1 gateway  gateway             5 May 26  2026 a b', '182 days');
  t.equal(line({ at: '2027-06-01T00:00:00Z' }), '-rw-r-----   1 gateway  gateway             5 Jun  1  2027 a b', 'ahead');
  t.end();
});
