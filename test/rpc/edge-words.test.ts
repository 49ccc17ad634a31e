// T-35: the values that an edge may state are a list; each of them is bounded, and the table of operations uses no
// others.
import { test } from 'tap';
import type { z } from 'zod';
import { edgeToWarden, wardenToEdge } from '../../server/rpc/edge-warden.ts';
import { edgeWords } from '../../server/rpc/edge-words.ts';
import { extremes } from '../support/extremes.ts';

type Node = { readonly def: { readonly type: string } & Readonly<Record<string, unknown>> };
const listed = new Set<unknown>(Object.values(edgeWords));
/** These say only which of a few things is meant. */
const closed = ['literal', 'enum', 'boolean'];

/** Returns the places in a schema that are neither a value of the list nor a closed set. */
function unlisted(schema: unknown, place: string): readonly string[] {
  if (listed.has(schema)) return [];
  const { def } = schema as Node;
  if (closed.includes(def.type)) return [];
  switch (def.type) {
    case 'object': {
      const open = (def.catchall as Node | undefined)?.def.type === 'never' ? [] : [`${place}: takes unknown keys`];
      return [
        ...open,
        ...Object.entries(def.shape as object).flatMap(([name, one]) => unlisted(one, `${place}.${name}`)),
      ];
    }
    case 'optional':
      return unlisted(def.innerType, place);
    case 'union':
      return (def.options as readonly unknown[]).flatMap((one, i) => unlisted(one, `${place}|${i}`));
    case 'array': {
      const isBounded = ((def.checks ?? []) as readonly { _zod: { def: { check: string } } }[]).some(
        ({ _zod }) => _zod.def.check === 'max_length',
      );
      return [...(isBounded ? [] : [`${place}: a list without a bound`]), ...unlisted(def.element, `${place}[]`)];
    }
    default:
      return [`${place}: ${def.type} is not a word of the list`];
  }
}

test('every parameter of every operation is a value of the list, a closed set, or a bounded list of those', async (t) => {
  const operations = Object.entries(edgeToWarden);
  t.ok(operations.length >= 30, `${operations.length} operations`);
  for (const [op, { params }] of operations) t.same(unlisted(params, op), []);
  for (const [op, { result }] of Object.entries(wardenToEdge))
    t.same(unlisted(result, op), [], `the edge's answer to ${op}`);
});

test('the walk through the schemas finds what is not listed', async (t) => {
  const { z: zod } = await import('zod');
  const found = unlisted(
    zod.strictObject({
      token: edgeWords.token,
      free: zod.string().optional(),
      deep: zod.array(zod.strictObject({ n: zod.number() })).max(2),
      list: zod.array(edgeWords.name),
      either: zod.discriminatedUnion('type', [zod.strictObject({ type: zod.literal('a'), text: zod.string() })]),
      open: zod.object({}),
    }),
    'op',
  );
  t.same(found, [
    'op.free: string is not a word of the list',
    'op.deep[].n: number is not a word of the list',
    'op.list: a list without a bound',
    'op.either|0.text: string is not a word of the list',
    'op.open: takes unknown keys',
  ]);
});

test('every value of the list says what is possible, and refuses what is not', async (t) => {
  const words: Readonly<Record<string, z.ZodType>> = edgeWords;
  for (const [name, schema] of Object.entries(words)) {
    t.match(schema.description, /^.{10,}/, `${name} says what is possible`);
    for (const given of extremes) {
      const taken = schema.safeParse(given);
      if (!taken.success) continue;
      if (typeof given === 'number') t.ok(Number.isSafeInteger(given) && given >= 0, `${name} takes ${given}`);
      else if (typeof given === 'string') t.ok(given.length <= 90_000, `${name} takes ${given.length} characters`);
      else t.ok(Array.isArray(given) && given.length <= 32, `${name} takes a list`);
    }
  }
  const text = 'not\u0000writable';
  for (const name of ['address', 'verdictText', 'name', 'identification'] as const)
    t.notOk(edgeWords[name].safeParse(text).success, `${name} is kept, and takes nothing that cannot be written`);
  t.ok(
    edgeWords.username.safeParse(text).success,
    'a name that a client typed may be anything: it finds nobody, and is not kept',
  );
});

test('an address is accepted only in its canonical spelling', async (t) => {
  for (const one of ['192.0.2.7', '0.0.0.0', '::', '::1', '2001:db8::7', 'fe80::1', '255.255.255.255'])
    t.ok(edgeWords.address.safeParse(one).success, one);
  for (const one of [
    '',
    'not-an-address',
    '192.0.2.7/32',
    '192.0.2.256',
    '01.2.3.4',
    'fe80::1%eth0',
    '::ffff:192.0.2.7',
    '2001:DB8::7',
    '1.2.3',
    ' 1.2.3.4',
    '1.2.3.4\u0000',
    '1::2::3',
  ])
    t.notOk(edgeWords.address.safeParse(one).success, one);
});
