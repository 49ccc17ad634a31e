// An operator who mistypes is told which parameter is wrong and what it looks like: for every operation and every
// parameter.
import { test } from 'tap';
import { z } from 'zod';
import { operatorToAdmin } from '../../server/rpc/operators/table.ts';
import { requireForm } from '../../server/rpc/wrong-form.ts';

/** Values that somebody types where something else belongs. */
const typed = ['1', '', 'not this', {}] as const;

/** The names of an operation's parameters, in every way to call it. */
function shapesOf(schema: z.ZodType): readonly Readonly<Record<string, z.ZodType>>[] {
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((one) => shapesOf(one as z.ZodType));
  return schema instanceof z.ZodObject ? [schema.shape as Readonly<Record<string, z.ZodType>>] : [];
}

const wordsOf = (work: () => unknown): string => {
  try {
    work();
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
};

test('every parameter of every operation is named when it is malformed, and no pattern is shown', async (t) => {
  let looked = 0;
  for (const [operation, { params }] of Object.entries(operatorToAdmin)) {
    const shapes = shapesOf(params as z.ZodType);
    t.ok(shapes.length > 0, `${operation} takes named parameters`);
    for (const shape of shapes)
      for (const [name, schema] of Object.entries(shape))
        for (const value of typed) {
          const alone = z.strictObject({ [name]: schema });
          if (alone.safeParse({ [name]: value }).success) continue;
          looked += 1;
          const words = wordsOf(() => requireForm(alone, { [name]: value }));
          t.match(
            words,
            new RegExp(`^the parameters have the wrong form: ${name}(?:\\.\\d+|\\.\\w+)*: .`),
            `${operation} ${name}: ${words}`,
          );
          t.notMatch(words, /pattern|Invalid UUID|Invalid ISO/, `${operation} ${name}: ${words}`);
        }
  }
  t.ok(looked > 150, `${looked} wrong values`);
});

test('the message about a truncated ID says from which list it is copied', async (t) => {
  const words = wordsOf(() => requireForm(operatorToAdmin['session.end'].params, { session: '1', reason: 'x' }));
  t.equal(
    words,
    'the parameters have the wrong form: session: an ID has 36 characters: copy it whole from `cofferctl session list`',
  );
  t.doesNotThrow(() =>
    requireForm(operatorToAdmin['session.end'].params, {
      session: '6f1c0c62-0f0a-4a6e-9b1e-0d6a3a1d9c11',
      reason: 'asked by the bank',
    }),
  );
});
