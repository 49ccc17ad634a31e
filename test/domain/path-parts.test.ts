// A part of a path is one name in a directory, and of the form of its kind; what is said of another text quotes no more
// than its beginning.
import { test } from 'tap';
import {
  archivePart,
  entryPart,
  filePart,
  nodePart,
  objectDirectoryPart,
  objectPart,
  type PathPart,
  prefixPart,
} from '../../server/domain/path-parts.ts';

const object = '0123456789abcdef0123456789abcdef';
type Kind = {
  parse: (text: string) => PathPart;
  what: string;
  good: readonly (readonly [string, string])[];
  bad: readonly string[];
};
const same = (...names: readonly string[]): Kind['good'] => names.map((name) => [name, name]);
const kinds: readonly Kind[] = [
  {
    parse: objectPart,
    what: 'the id of an object',
    good: same(object),
    bad: [object.toUpperCase(), `${object}0`, object.slice(1), `${object}\n`, `${object.slice(1)}g`],
  },
  {
    parse: objectDirectoryPart,
    what: 'the id of an object',
    good: [
      [object, '01'],
      [`ff${object.slice(2)}`, 'ff'],
    ],
    bad: ['01', `${object}0`],
  },
  {
    parse: prefixPart,
    what: 'a directory of the store',
    good: same('00', 'a9', 'ff'),
    bad: ['f', 'fff', 'FF', '0/', '0g', '00\n'],
  },
  {
    parse: nodePart,
    what: 'the name of an edge',
    good: same('n', '0', 'partner-1', 'a.b_c', 'x'.repeat(64)),
    bad: ['A', '-a', '.a', '_a', 'a b', 'a\n', 'x'.repeat(65)],
  },
  {
    parse: archivePart,
    what: 'a month',
    good: [
      ['2026-01-01', 'ledger-2026-01.jsonl.gz'],
      ['1999-12-31', 'ledger-1999-12.jsonl.gz'],
    ],
    bad: ['2026-00-01', '2026-13-01', '2026-1-01', '2026-11', '2026-11-1', '2026-11-01\n', '12026-11-01'],
  },
  {
    parse: filePart,
    what: 'the name of a file',
    good: same('a', '.a', '...', 'A-z_0.9', 'x'.repeat(255)),
    bad: ['ä', 'a b', 'a\n', 'x'.repeat(256)],
  },
  {
    parse: entryPart,
    what: 'an entry of a directory',
    good: same('a', '.a', '...', 'any name\n', 'ö'),
    bad: ['a/', '/', 'a\0'],
  },
];

test('each kind of part has its form', (t) => {
  for (const { parse, what, good, bad } of kinds) {
    for (const [text, part] of good) t.equal(parse(text), part, `${what}: ${text}`);
    for (const text of [...bad, '', '.', '..', 'a/b', '../a', 'a\0'])
      t.throws(
        () => parse(text),
        { code: 'corrupt', message: `this is not ${what}: ${JSON.stringify(text.slice(0, 80))}` },
        `${what}: ${JSON.stringify(text)}`,
      );
  }
  t.end();
});
