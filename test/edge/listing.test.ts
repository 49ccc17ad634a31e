// A directory is read page by page: its own two names once, each entry once, then the end. And the line that people see
// for each entry.
import { test } from 'tap';
import { FieldReader, type as fx, readAttributes } from '../../server/edge/sftp/codec.ts';
import { Listing, longName, PagePlaces } from '../../server/edge/sftp/listing.ts';
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

test('page by page, then the end, as often as the client asks', async (t) => {
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
  for (let i = 0; i < 2; i += 1) t.equal(statusOf(await read()), 1, 'the end, after a page without names');
  t.same(asked, [
    [undefined, 1000],
    ['b', 1000],
    ['c', 1000],
  ]);
});

/** A directory of this many names, its pages counted. */
function listingOf(places: PagePlaces, count: number) {
  const names = Array.from({ length: count }, (_, i) => `n${String(i).padStart(5, '0')}`);
  const asked: number[] = [];
  const listing = new Listing(places, {
    page: async (after, limit) => {
      asked.push(limit);
      const from = after === undefined ? 0 : names.indexOf(after) + 1;
      const page = names.slice(from, from + limit);
      return {
        entries: page.map((name) => ({ name, attributes })),
        next: from + limit < count ? page.at(-1) : undefined,
      };
    },
    self: async () => ({ ...attributes, kind: 'directory' }),
  });
  return { names, asked, listing };
}
async function all(listing: Listing): Promise<readonly string[]> {
  const told: string[] = [];
  for (;;) {
    const names = (await listing.next()).map((one) => one.name);
    if (names.length === 0) return told.filter((name) => !name.startsWith('.'));
    told.push(...names);
    if (names.length > 102) throw new Error('a reply of more than a hundred names');
  }
}

test('large pages in small replies, while there are places for pages; small pages when there are none', async (t) => {
  const places = new PagePlaces();
  for (const count of [0, 1, 99, 100, 101, 999, 1000, 1001, 2500]) {
    const { names, asked, listing } = listingOf(places, count);
    t.same(await all(listing), names, `${count} names, each once, in their order`);
    t.equal(asked.length, Math.max(1, Math.ceil(count / 1000)), `${asked.length} pages`);
  }
  const held = Array.from({ length: 256 }, () => listingOf(places, 300).listing);
  for (const one of held) await one.next();
  const late = listingOf(places, 300);
  t.same([await all(late.listing), late.asked], [late.names, [100, 100, 100]], 'without a place no page is kept');
  held.shift()?.end();
  const next = listingOf(places, 300);
  t.same([await all(next.listing), next.asked], [next.names, [1000]], 'twin: a closed handle gives its place back');
  for (const one of held) one.end();
  t.equal(places.free, 256, 'all of them do, and none twice');
});

test('a handle that is closed while its page is under way, and a page that fails, keep no place', async (t) => {
  const places = new PagePlaces();
  const { promise, resolve } = Promise.withResolvers<void>();
  const slow = new Listing(places, {
    page: async () => {
      await promise;
      return { entries: [{ name: 'a', attributes }] };
    },
    self: async () => attributes,
  });
  const reading = slow.next();
  slow.end();
  resolve();
  await reading;
  t.equal(places.free, 256, 'closed meanwhile');
  let fails = true;
  const failing = new Listing(places, {
    page: async () => {
      if (fails) throw new Error('the warden is away');
      return { entries: [{ name: 'a', attributes }] };
    },
    self: async () => attributes,
  });
  await t.rejects(failing.next(), /away/);
  t.equal(places.free, 256, 'failed');
  fails = false;
  t.same(await all(failing), ['a'], 'twin: the client asks again, and nothing is missing');
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
  t.equal(
    line({ at: '2026-05-26T18:00:00Z' }),
    '-rw-r-----   1 gateway  gateway             5 May 26  2026 a b',
    '182 days',
  );
  t.equal(
    line({ at: '2027-06-01T00:00:00Z' }),
    '-rw-r-----   1 gateway  gateway             5 Jun  1  2027 a b',
    'ahead',
  );
  t.end();
});
