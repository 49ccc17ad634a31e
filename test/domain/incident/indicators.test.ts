import { test } from 'tap';
import { indicatorsMax, parseIndicators } from '../../../server/domain/incident/indicators.ts';
import { selectionFault } from '../../../server/domain/incident/selection.ts';

const print = `SHA256:${'a'.repeat(43)}`;
const hash = 'AB'.repeat(32);
const found = (text: string): readonly (readonly [string, string])[] =>
  parseIndicators(text).indicators.map((one) => [one.type, one.value]);
const faults = (text: string): readonly string[] => parseIndicators(text).faults.map((one) => `${one.line}: ${one.text}`);

test('a file with types', async (t) => {
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

test('bare values are told by their form', async (t) => {
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

test('faults name the line and the reason, all of them', async (t) => {
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

test('a time alone is no question', async (t) => {
  t.match(selectionFault({ since: '2026-01-01T00:00:00.000Z' }), /besides the time/);
  t.match(selectionFault({}), /besides the time/);
  t.equal(selectionFault({ node: 'partner-1' }), undefined);
  const [day, next] = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z'];
  t.equal(selectionFault({ node: 'n', since: day, until: next }), undefined);
  for (const until of [day, '2025-12-31T00:00:00.000Z']) t.match(selectionFault({ node: 'n', since: day, until }), /not after/);
});
