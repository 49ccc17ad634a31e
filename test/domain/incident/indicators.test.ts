// Reading indicators of compromise: files with types and without, and every fault with its line.
import { test } from 'tap';
import { indicatorsMax, parseIndicators } from '../../../server/domain/incident/indicators.ts';
import { kindOfSelection, selectionFault } from '../../../server/domain/incident/selection.ts';

const print = `SHA256:${'a'.repeat(43)}`;
const hash = 'AB'.repeat(32);
const found = (text: string): readonly (readonly [string, string])[] =>
  parseIndicators(text).indicators.map((one) => [one.type, one.value]);
const faults = (text: string): readonly string[] =>
  parseIndicators(text).faults.map((one) => `${one.line}: ${one.text}`);

test('a file with types is read line by line', async (t) => {
  const text = [
    '\ufeff# from the authority',
    'Type,Value,Note',
    'address,192.0.2.7,first seen in May',
    'address,::ffff:192.0.2.8',
    'network,198.51.100.0/24,"a note, with a comma and ""quotes"""',
    `fingerprint,${print}=`,
    'client,rclone',
    '',
    `sha256,${hash}`,
    'account,acme-batch',
  ].join('\r\n');
  const { indicators, faults: wrong } = parseIndicators(text);
  t.same(wrong, []);
  t.same(
    indicators.map((one) => [one.type, one.value, one.line, one.note]),
    [
      ['address', '192.0.2.7', 3, 'first seen in May'],
      ['address', '192.0.2.8', 4, null],
      ['network', '198.51.100.0/24', 5, 'a note, with a comma and "quotes"'],
      ['fingerprint', print, 6, null],
      ['client', 'rclone', 7, null],
      ['sha256', hash.toLowerCase(), 9, null],
      ['account', 'acme-batch', 10, null],
    ],
  );
});

test('the type of a bare value is recognised by its form', async (t) => {
  t.same(found(`2001:DB8::7\n2001:db8::/32\n10.0.0.1\n${print}\npassword:abcdefgh\n${hash}\nSSH-2.0-Go\n`), [
    ['address', '2001:db8::7'],
    ['network', '2001:db8::/32'],
    ['address', '10.0.0.1'],
    ['fingerprint', print],
    ['fingerprint', 'password:abcdefgh'],
    ['sha256', hash.toLowerCase()],
    ['client', 'SSH-2.0-Go'],
  ]);
  t.match(
    faults('10.0.0.1\nrclone'),
    ['2: "rclone" cannot be recognised by its form'].map((one) => new RegExp(one)),
  );
});

test('each fault names its line and the reason, and all faults are reported', async (t) => {
  const list = faults(
    [
      'type,value',
      'address,300.1.1.1',
      'address,fe80::1%eth0',
      'network,10.0.0.0/33',
      'sha256,ab',
      'colour,red',
      'account,Acme',
      'client,',
      'client,"x',
      'address,10.0.0.1',
      'network,::ffff:10.0.0.0/24',
      'network,::ffff:0:0/24',
      'network,::/24',
    ].join('\n'),
  );
  t.same(
    list.map((one) => one.split(':')[0]),
    ['2', '3', '4', '5', '6', '7', '8', '9', '11', '12'],
  );
  t.match(list[4], /"colour" is no type: address, network, fingerprint, client, sha256, account/);
  t.match(list[0], /"300.1.1.1" is no address: 198\.51\.100\.7/);
  const line = '10.0.0.1\n';
  t.same(faults(line.repeat(indicatorsMax)), [], 'as many as there may be');
  t.match(faults(line.repeat(indicatorsMax + 1)), [/more than 10000 indicators/]);
});

test('a question that gives only a time is refused', async (t) => {
  t.match(selectionFault({ since: '2026-01-01T00:00:00.000Z' }), /besides the time/);
  t.match(selectionFault({}), /besides the time/);
  t.equal(selectionFault({ node: 'partner-1' }), undefined);
  const [day, next] = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z'];
  t.equal(selectionFault({ node: 'n', since: day, until: next }), undefined);
  for (const until of [day, '2025-12-31T00:00:00.000Z'])
    t.match(selectionFault({ node: 'n', since: day, until }), /not after/);
});

test('the longest name of a client is accepted, and one character more is not', (t) => {
  const longest = `SSH-2.0-${'x'.repeat(247)}`;
  t.same(found(longest), [['client', longest]]);
  t.match(faults(`${longest}x`), [/cannot be recognised by its form/]);
  t.same(found(`type,value\nclient,${longest}`), [['client', longest]]);
  t.match(faults(`type,value\nclient,${longest}x`), [
    /is no client: at most 255 characters of a client's identification/,
  ]);
  t.end();
});

test('when a value does not fit its type, the message says what a value of that type looks like', (t) => {
  const wrong = ['network,x', 'fingerprint,x', 'sha256,x', 'account,X', 'address,x', 'client,'];
  t.match(faults(['type,value', ...wrong].join('\n')), [
    /"x" is no network: 198\.51\.100\.0\/24$/,
    /"x" is no fingerprint: SHA256: and 43 characters, or password: and 8$/,
    /"x" is no sha256: 64 hexadecimal digits$/,
    /"X" is no account: a name such as acme-batch$/,
    /"x" is no address: 198\.51\.100\.7 or 2001:db8::7$/,
    /"" is no client: at most 255/,
  ]);
  t.match(faults('type,value\nclient,"x'), [/^2: a quote is not closed$/]);
  t.end();
});

test('the type network accepts networks and single addresses', (t) => {
  t.same(found('type,value\nnetwork,2001:DB8::/32\nnetwork,2001:DB8::7\nnetwork,192.0.2.7'), [
    ['network', '2001:db8::/32'],
    ['network', '2001:db8::7'],
    ['network', '192.0.2.7'],
  ]);
  t.equal(faults('type,value\nnetwork,fe80::%eth0/64').length, 1, 'a zone is of one host');
  t.equal(faults('fe80::%eth0/64').length, 1);
  t.end();
});

test('notes are read in files with types and in files without', (t) => {
  const notes = (text: string): readonly (string | null)[] => parseIndicators(text).indicators.map((one) => one.note);
  t.same(notes('type,value,note\naddress,192.0.2.7,seen\naddress,192.0.2.8,\naddress,192.0.2.9'), ['seen', null, null]);
  t.same(notes('192.0.2.7,seen,more\n192.0.2.8,\n192.0.2.9'), ['seen', null, null]);
  t.same(notes('192.0.2.7," in ""quotes"" "'), [' in "quotes" '], 'a quoted cell is kept with its spaces');
  t.same(notes('192.0.2.7,  between commas  ,x'), ['between commas']);
  t.end();
});

test('a first line is a header only when it has both words', (t) => {
  t.equal(faults('type,192.0.2.7').length, 1, 'the word type alone');
  t.equal(faults('name,value\n192.0.2.7').length, 1, 'the word value alone');
  t.same(found('TYPE,VALUE\naddress,192.0.2.7'), [['address', '192.0.2.7']]);
  t.same(found('192.0.2.7,type\n192.0.2.8'), [
    ['address', '192.0.2.7'],
    ['address', '192.0.2.8'],
  ]);
  t.end();
});

test('a question is described in words that name nobody', (t) => {
  t.equal(kindOfSelection({}), 'what was done');
  t.equal(kindOfSelection({ credential: print }), 'what was done with one credential');
  t.equal(
    kindOfSelection({ account: 'a', source: '::', client: 'x' }),
    'what was done by one account from one address or network with one kind of client',
  );
  t.equal(
    kindOfSelection({ session: 's', node: 'n', operator: 'o', since: '2026-01-01' }),
    'what was done in one session on one edge by one operator and with what that operator touched',
  );
  t.equal(selectionFault({ node: 'n', until: '2026-01-01T00:00:00Z' }), undefined, 'an end alone');
  t.equal(selectionFault({ node: 'n', since: '2026-01-01T00:00:00Z' }), undefined, 'a beginning alone');
  t.end();
});
