// A verb of cofferctl is registered once on each side, and cannot be forgotten: a verb without a test, without a help
// text and an example, or without a line in the documents fails here, and so does an operation that no verb calls.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { verbs } from '../../admin-cli/verbs.ts';
import { operatorToAdmin } from '../../server/rpc/operators/table.ts';
import { root, textOf } from '../support/documents.ts';
import { nameOf, runsAlone, verbReference } from '../support/verbs.ts';

/** Verbs of one word belong to the gateway as a whole, or to a noun that their name leaves out. */
const placeOf = (words: readonly string[]): readonly string[] => {
  const [noun = '', verb] = words;
  if (verb !== undefined) return [`${noun}/${verb}.ts`];
  return [`gateway/${noun}.ts`, `budget/${noun}.ts`];
};
const filesBelow = (directory: string): readonly string[] =>
  readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

test('every file of a verb is registered, lies where its words say, and owns nothing else', async (t) => {
  const declaring = filesBelow('admin-cli').filter((file) => /^ +words: \[/m.test(textOf(join('admin-cli', file))));
  t.equal(declaring.length, verbs.length, 'one file for each registered verb');
  for (const verb of verbs) {
    const places = placeOf(verb.words);
    const file = declaring.find((one) => places.includes(one));
    if (file === undefined) t.fail(`${nameOf(verb)} lies in none of ${places.join(', ')}`);
    else t.match(textOf(join('admin-cli', file)), `// Owns: \`cofferctl ${nameOf(verb)}\``, file);
  }
  t.equal(new Set(verbs.map(nameOf)).size, verbs.length, 'no words are registered twice');
});

/** The tests of verbs: each verb that does not run alone has a line in one of the forms below. */
const scene = readFileSync(join(root, 'test', 'e2e', 'every-command.test.ts'), 'utf8');
const isTested = (name: string): boolean => scene.includes(`ctl('${name}'`) || scene.includes(`done.add('${name}')`);

test('every verb has a test, a help text and an example of itself', async (t) => {
  for (const verb of verbs) {
    const name = nameOf(verb);
    t.ok(runsAlone(verb) || isTested(name), `${name} has a line in test/e2e/every-command`);
    t.ok(verb.help.length > 15, `${name} says what it does`);
    t.match(
      verb.example.replace(/^source <\(/, ''),
      new RegExp(`^cofferctl ${name}`),
      `${name} has an example of itself`,
    );
  }
  t.notOk(isTested('customer forget'), 'the twin');
});

test('the reference of verbs is what the registration makes: npm run reference', async (t) => {
  t.equal(textOf('docs/reference/cofferctl.md'), verbReference());
});

/** What the builders and the connection call for every verb, and what the admin process asks for itself. */
const ofNoVerb = ['plan', 'change.propose', 'warden.ping'];

test('every operation of operators belongs to a verb, and lies in the file of its noun', async (t) => {
  const called = new Set<string>(verbs.flatMap(({ operations }) => operations));
  for (const operation of Object.keys(operatorToAdmin))
    t.equal(called.has(operation), !ofNoVerb.includes(operation), `${operation} is called by a verb`);
  for (const file of filesBelow('server/rpc/operators')) {
    const noun = file.replace(/(?:-entries)?\.ts$/, '');
    for (const [, operation = ''] of textOf(join('server/rpc/operators', file)).matchAll(
      /^ {2}'([a-z-]+)\.[a-z-]+': rule\(/gm,
    ))
      t.ok(operation === noun || (noun === 'gateway' && operation === 'warden'), `${operation} in ${file}`);
  }
});
