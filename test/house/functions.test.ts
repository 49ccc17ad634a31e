// Numbered migrations make tables. Whatever names a function is in a file of functions, once, and says what it
// promises.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

const migrations = join(import.meta.dirname, '..', '..', 'migrations');
const functionFiles = readdirSync(join(migrations, 'functions'));
const textOf = (...path: readonly string[]): string => readFileSync(join(migrations, ...path), 'utf8');
const code = (text: string): string => text.replace(/--.*$/gm, '');

/** Objects that depend on functions, and statements that call a function directly. */
const standsOnFunctions =
  /\b(?:create|alter)\s+(?:or\s+replace\s+)?(?:constraint\s+)?(?:function|trigger|view|policy)\b|\bselect\s+\w+\(|\bperform\b/i;

test('a numbered migration names no function of ours', (t) => {
  for (const planted of [
    'create function x()',
    'create or replace  view x',
    'create constraint trigger x',
    'create policy x',
    'select x()',
  ])
    t.match(planted, standsOnFunctions, 'the rule bites');
  const numbered = readdirSync(migrations).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name));
  t.ok(numbered.length >= 5);
  const names = functionFiles.flatMap((file) =>
    [...textOf('functions', file).matchAll(/function (\w+)\(/g)].map(([, name = '']) => name),
  );
  for (const name of numbered) {
    const text = code(textOf(name));
    t.notMatch(text, standsOnFunctions, name);
    t.same(
      names.filter((one) => new RegExp(`(?<!function (?:if exists )?)\\b${one}\\(`).test(text)),
      [],
      name,
    );
  }
  t.end();
});

test('a file of functions can be applied again, and each function says what it promises', (t) => {
  const seen = new Map<string, string>();
  for (const file of functionFiles) {
    const text = textOf('functions', file);
    t.match(text, /^-- /, `${file} opens with its subject`);
    // Bodies make their objects at each call; only what is outside a body is applied again.
    const outside = code(text)
      .split(/^(?=create or replace function)/m)
      .map((part) => (part.startsWith('create or replace function') ? part.replace(/\$\$[\s\S]*?\$\$/, '') : part))
      .join('');
    t.notMatch(outside, /\bcreate (?:function|trigger|view)\b/i, `${file}: create or replace`);
    for (const [, kind = '', name = '', table = ''] of outside.matchAll(
      /\bcreate (constraint trigger|policy) (\w+)[\s\S]*? on (%?\w+)/gi,
    ))
      t.ok(
        text.includes(`drop ${kind.replace('constraint ', '')} if exists ${name} on ${table}`),
        `${file}: ${kind} ${name} of ${table} is dropped before it is made`,
      );
    for (const match of text.matchAll(/^create or replace function (\w+)\(/gm)) {
      const [, name = ''] = match;
      const before = text.slice(0, match.index).split('\n\n').at(-1) ?? '';
      t.match(before, /^-- Promises: [\s\S]*\.\n$/, `${file}: ${name} says what it promises`);
      t.notOk(seen.has(name), `${name} stands in ${seen.get(name)}, too`);
      seen.set(name, file);
    }
  }
  t.ok(seen.size > 70);
  t.end();
});
