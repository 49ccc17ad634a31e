// The grammar of the console: what a line may say, how long it may be, and noise.
import { test } from 'tap';
import {
  type ConsoleCommand,
  consoleHelp,
  lineBytesMax,
  parseConsoleLine,
} from '../../server/domain/console-grammar.ts';
import { Random } from '../fuzz/mutate.ts';

const print = `SHA256:${'A'.repeat(43)}`;
const good: readonly (readonly [string, ConsoleCommand])[] = [
  ['', { verb: 'help' }],
  ['help', { verb: 'help' }],
  ['whoami', { verb: 'whoami' }],
  [' whoami ', { verb: 'whoami' }],
  ['enroll', { verb: 'enroll' }],
  ['windows', { verb: 'windows' }],
  ['unlock acme-batch --for 8h', { verb: 'unlock', account: 'acme-batch', minutes: 480 }],
  ['unlock a --for 24h', { verb: 'unlock', account: 'a', minutes: 1440 }],
  ['unlock a.b_c-d --for 30m', { verb: 'unlock', account: 'a.b_c-d', minutes: 30 }],
  ['lock acme-batch', { verb: 'lock', account: 'acme-batch' }],
  ['keys', { verb: 'keys' }],
  ['keys add', { verb: 'keys-add' }],
  [`keys confirm ${print}`, { verb: 'keys-confirm', fingerprint: print }],
  [`keys revoke ${print}`, { verb: 'keys-revoke', fingerprint: print }],
  ['receipt-key', { verb: 'receipt-key' }],
  ['receipt deposit/a b.xml', { verb: 'receipt', name: 'deposit/a b.xml' }],
  ['receipt ; rm -rf /', { verb: 'receipt', name: '; rm -rf /' }],
];
const bad = [
  'WHOAMI',
  'whoami now',
  'unlock',
  'unlock acme-batch',
  'unlock acme-batch --for',
  'unlock acme-batch --for 0h',
  'unlock acme-batch --for 25h',
  'unlock acme-batch --for 1441m',
  'unlock acme-batch --for 8h more',
  'unlock acme-batch --for 8',
  'unlock acme-batch --for -1h',
  'unlock acme-batch  --for 8h',
  'unlock Acme --for 8h',
  'unlock a;b --for 8h',
  'unlock ../acme --for 8h',
  `unlock ${'a'.repeat(65)} --for 8h`,
  'lock',
  'lock a b',
  'lock $(id)',
  'keys remove',
  'keys add now',
  'keys confirm',
  'keys confirm SHA256:short',
  `keys revoke ${print} ${print}`,
  'receipt',
  'receipt ',
  'receipt-key now',
  'unlock acme-batch --in 8h',
  'unlock acme-batch --for 8h --for 8h',
  'lock acme-batch --for 8h',
  'sh',
  'scp -t /',
  'sftp-server',
  '/bin/sh -c id',
  'whoami\nwhoami',
  'whoami\u0000',
  'receipt a\u001b[31m',
  'receipt \ud800',
  'x'.repeat(513),
];

test('the console understands the documented commands, and nothing else', async (t) => {
  for (const [line, command] of good) t.same(parseConsoleLine(line), { command }, JSON.stringify(line));
  for (const line of bad)
    t.match(parseConsoleLine(line), { fault: /nothing was done/ }, JSON.stringify(line.slice(0, 60)));
  for (const verb of [
    'whoami',
    'enroll',
    'windows',
    'unlock',
    'lock',
    'keys add',
    'keys confirm',
    'keys revoke',
    'receipt',
    'receipt-key',
    'help',
  ])
    t.match(consoleHelp, new RegExp(`^${verb}`, 'm'), `${verb} is in the help`);
  t.match(consoleHelp, /^keys +your keys/m);
});

test('the length of a line is counted in bytes, and the longest line that fits is accepted', (t) => {
  t.equal(lineBytesMax, 512);
  const longest = `receipt ${'a'.repeat(504)}`;
  t.match(parseConsoleLine(longest), { command: { verb: 'receipt' } });
  t.match(parseConsoleLine(`${longest}a`), { fault: /too long/ });
  t.match(parseConsoleLine(`receipt ${'ü'.repeat(252)}`), { command: { verb: 'receipt' } });
  t.match(parseConsoleLine(`receipt ${'ü'.repeat(252)}a`), { fault: /too long/ });
  t.end();
});

test('200,000 lines of words, fragments and noise are parsed or refused; none becomes another verb or an exception', async (t) => {
  const random = new Random(11);
  const words = [
    'unlock',
    'lock',
    'keys',
    'add',
    'confirm',
    'revoke',
    'receipt',
    'acme',
    '--for',
    '8h',
    '24h',
    '99h',
    print,
    '',
    ' ',
    ';',
    '\u0000',
    '../x',
    'ü',
    '\ud800',
    '--',
    'whoami',
  ];
  const verbs = new Set([
    'help',
    'whoami',
    'enroll',
    'unlock',
    'lock',
    'windows',
    'keys',
    'keys-add',
    'keys-confirm',
    'keys-revoke',
    'receipt',
  ]);
  let parsed = 0;
  let wrong = 0;
  for (let i = 0; i < 200_000; i += 1) {
    const line = Array.from({ length: random.below(6) }, () => random.pick(words)).join(
      random.below(8) === 0 ? '' : ' ',
    );
    const result = parseConsoleLine(line);
    if (!('command' in result)) continue;
    parsed += 1;
    const { command } = result;
    if (!verbs.has(command.verb)) wrong += 1;
    if (
      command.verb === 'unlock' &&
      !(command.minutes >= 1 && command.minutes <= 1440 && /^[a-z0-9][a-z0-9._-]{0,63}$/.test(command.account))
    )
      wrong += 1;
    if (command.verb === 'receipt' && /\p{Cc}/u.test(command.name)) wrong += 1;
  }
  t.equal(wrong, 0, `${parsed} of them are commands`);
  t.ok(parsed > 1000);
});
