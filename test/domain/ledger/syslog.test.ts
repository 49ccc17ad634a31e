// Entries as syslog messages, read back by a parser of RFC 5424 and by one of CEF. No value can end the field in which
// it stands.
import { test } from 'tap';
import { entryKinds } from '../../../server/domain/ledger/entry-kinds.ts';
import {
  bytesOf,
  type ForwardedEntry,
  fieldBytesMax,
  framed,
  severityOf,
  shorten,
  syslogCheckpoint,
  syslogMessage,
  timestamp,
} from '../../../server/domain/ledger/syslog.ts';
import { parseCef, parseSyslog } from '../../support/syslog.ts';

const source = { hostname: 'gate-1.example', version: '0.1.0' };
const entry: ForwardedEntry = {
  tree: '7d0c1e52-6c39-4d3a-9a0e-1d0f5a3f0001',
  position: 41,
  number: 1234,
  at: 1_795_543_200_123_456,
  kind: 'session.opened',
  observer: 'warden',
  customer: '7d0c1e52-6c39-4d3a-9a0e-1d0f5a3f0001',
  customerName: 'acme',
  account: '7d0c1e52-6c39-4d3a-9a0e-1d0f5a3f0002',
  accountName: 'acme-upload',
  session: '7d0c1e52-6c39-4d3a-9a0e-1d0f5a3f0003',
  node: 'partner-1',
  plane: 'partner',
  handle: null,
  version: null,
  extent: null,
  bytes: null,
  publicText: '{"proofs": ["publickey", "totp"], "purpose": "sftp", "readOnly": false}',
  credential: `SHA256:${'a'.repeat(43)}`,
  alsoCredential: null,
  source: '192.0.2.7',
  sourcePort: 50123,
  client: 'SSH-2.0-OpenSSH_9.2',
  operator: null,
  sensitiveText: '{"window": "night"}',
  leaf: 'ab'.repeat(32),
};
const withClient = (client: string): ForwardedEntry => ({ ...entry, client });
const paramsOf = (one: ForwardedEntry): Readonly<Record<string, string>> =>
  parseSyslog(syslogMessage('rfc5424', one, source)).params;
const extensionOf = (one: ForwardedEntry): Readonly<Record<string, string>> =>
  parseCef(parseSyslog(syslogMessage('cef', one, source)).message).extension;

test('a known entry, letter by letter', async (t) => {
  t.equal(
    syslogMessage('rfc5424', entry, source),
    `<110>1 2026-11-24T18:00:00.123456Z gate-1.example cofferdam - session.opened [cofferdam@32473 number="1234" leaf="${entry.leaf}" tree="${entry.tree}" position="41" kind="session.opened" observer="warden" customer="${entry.customer}" customerName="acme" account="${entry.account}" accountName="acme-upload" session="${entry.session}" node="partner-1" plane="partner" credential="${entry.credential}" source="192.0.2.7" sourcePort="50123" client="SSH-2.0-OpenSSH_9.2" public.proofs="[\\"publickey\\",\\"totp\\"\\]" public.purpose="sftp" public.readOnly="false" sensitive.window="night"] all proofs were given: a session was opened; acme-upload of acme`,
  );
  t.equal(
    syslogMessage('cef', entry, source),
    `<110>1 2026-11-24T18:00:00.123456Z gate-1.example cofferdam - session.opened - CEF:0|Cofferdam|Cofferdam|0.1.0|session.opened|all proofs were given: a session was opened|3|rt=1795543200123 externalId=1234 cofferdamLeaf=${entry.leaf} cofferdamTree=${entry.tree} cofferdamPosition=41 act=session.opened cofferdamObserver=warden cofferdamCustomer=${entry.customer} cs1=acme cs1Label=customerName suid=${entry.account} suser=acme-upload cs2=${entry.session} cs2Label=session dvchost=partner-1 cs6=partner cs6Label=plane cs3=${entry.credential} cs3Label=credential src=192.0.2.7 spt=50123 requestClientApplication=SSH-2.0-OpenSSH_9.2 cofferdamPublicProofs=["publickey","totp"] cofferdamPublicPurpose=sftp cofferdamPublicReadOnly=false cofferdamSensitiveWindow=night`,
  );
});

test('every kind has a header and a parameter for each of its fields', async (t) => {
  for (const [kind, shape] of Object.entries<{
    readonly says: string;
    readonly public?: readonly string[];
    readonly sensitive?: readonly string[];
  }>(entryKinds)) {
    const value = (name: string): string => `the ${name}`;
    const json = (names: readonly string[] | undefined): string =>
      JSON.stringify(Object.fromEntries((names ?? []).map((name) => [name, value(name)])));
    const one = { ...entry, kind, publicText: json(shape.public), sensitiveText: json(shape.sensitive) };
    const { messageId, params } = parseSyslog(syslogMessage('rfc5424', one, source));
    t.equal(messageId, kind);
    for (const name of shape.public ?? []) t.equal(params[`public.${name}`], value(name));
    for (const name of shape.sensitive ?? []) t.equal(params[`sensitive.${name}`], value(name));
    for (const name of Object.keys(params)) t.match(name, /^[!#-<>-\\^-~]{1,32}$/, `${name} may name a parameter`);
    const { extension, head } = parseCef(parseSyslog(syslogMessage('cef', one, source)).message);
    t.equal(head[4], kind);
    for (const name of Object.keys(extension)) t.match(name, /^[A-Za-z0-9]+$/);
    t.equal(new Set(Object.keys(extension)).size, Object.keys(extension).length);
  }
});

test('the severity of each kind', async (t) => {
  t.equal(severityOf('ledger.frozen'), 2);
  t.equal(severityOf('break-glass.prepared'), 4);
  t.equal(severityOf('break-glass.used'), 2);
  t.equal(severityOf('login.refused'), 4);
  t.equal(severityOf('extent.granted'), 6);
  t.equal(severityOf('unheard.of'), 6);
  t.match(syslogMessage('rfc5424', { ...entry, kind: 'login.refused' }, source), /^<108>1 /);
  t.match(syslogMessage('cef', { ...entry, kind: 'ledger.frozen' }, source), /^<106>1 .*\|10\|/);
});

test('no value ends its parameter, its element, its header, its extension or its line', async (t) => {
  const nasty = [
    '"] forged',
    'a\\',
    '\\"',
    ']',
    '[x@1 y="z"]',
    'a=b src=1.2.3.4',
    '|10|src=1.2.3.4',
    '\\n',
    '\\=',
    '\\\\]',
    ' leading and trailing ',
    'ünïcode — 漢字 🏦',
    '<34>1 - - - - - -',
  ];
  for (const text of nasty) {
    t.equal(paramsOf(withClient(text)).client, text, JSON.stringify(text));
    t.equal(paramsOf(withClient(text)).source, '192.0.2.7');
    t.equal(extensionOf(withClient(text)).requestClientApplication, text, JSON.stringify(text));
    t.equal(extensionOf(withClient(text)).src, '192.0.2.7');
  }
  const controls = withClient('a\nb\rc\0d\u001b[31m\u007f\u0085e');
  t.equal(paramsOf(controls).client, 'a␊b␍c␀d␛[31m␡\ufffde');
  t.equal(extensionOf(controls).requestClientApplication, 'a\nb\rc␀d␛[31m␡\ufffde', 'CEF has words for ends of lines');
  for (const format of ['rfc5424', 'cef'] as const)
    for (const one of [...nasty.map(withClient), controls, { ...entry, kind: 'x\n|y' }])
      t.notMatch(syslogMessage(format, one, source), /\p{Cc}/u, 'one line');
  t.equal(paramsOf(withClient('\ud800x')).client, '\ufffdx', 'half a pair');
  t.equal(paramsOf({ ...entry, publicText: '{"path": "/in/\\"x\\"]"}' })['public.path'], '/in/"x"]');
  t.equal(parseCef(parseSyslog(syslogMessage('cef', { ...entry, kind: 'a|b\\' }, source)).message).head[4], 'a|b\\');
});

test('the byte order mark stands only before text beyond ASCII', async (t) => {
  const of = (path: string): string =>
    syslogMessage('rfc5424', { ...entry, publicText: JSON.stringify({ path }) }, source);
  t.notMatch(of('/in/a.xml'), '\ufeff');
  t.match(of('/in/ä.xml'), '"] \ufeffall proofs were given: a session was opened; acme-upload of acme; /in/ä.xml');
  t.equal(of('/in/ä.xml').split('\ufeff').length, 2);
  t.notMatch(syslogMessage('cef', withClient('ä'), source), '\ufeff', 'CEF begins with CEF');
});

test('host names, absent names, unusual kinds', async (t) => {
  for (const bad of ['', 'two words', 'ä', 'x'.repeat(256)])
    t.match(syslogMessage('rfc5424', entry, { ...source, hostname: bad }), /^<110>1 \S+ - cofferdam - /, `"${bad}"`);
  t.match(syslogMessage('rfc5424', entry, { ...source, hostname: 'x'.repeat(255) }), /^<110>1 \S+ x{255} /);
  const { params, message, messageId } = parseSyslog(
    syslogMessage(
      'rfc5424',
      { ...entry, kind: 'k'.repeat(33), customerName: null, accountName: null, publicText: '{}', sensitiveText: '{}' },
      source,
    ),
  );
  t.equal(messageId, '-');
  t.equal(params.kind, 'k'.repeat(33));
  t.equal(message, 'k'.repeat(33));
  t.notOk('customerName' in params);
  t.notOk('version' in params, 'what it does not say is left out');
});

test('instants keep their microseconds', async (t) => {
  t.equal(timestamp(0), '1970-01-01T00:00:00.000000Z');
  t.equal(timestamp(1), '1970-01-01T00:00:00.000001Z');
  t.equal(timestamp(1_795_543_200_999_999), '2026-11-24T18:00:00.999999Z');
  t.equal(timestamp(-1), '1969-12-31T23:59:59.999999Z');
});

test('long values are cut at whole characters, end with an ellipsis and are named', async (t) => {
  t.same(shorten('abc', 3), { text: 'abc', isCut: false });
  t.same(shorten('abcdefg', 6), { text: 'abc…', isCut: true });
  for (const one of ['ä', '漢', '🏦', 'a'])
    for (let max = 3; max < 30; max += 1) {
      const { text, isCut } = shorten(one.repeat(20), max);
      if (bytesOf(text) > max || text.includes('\ufffd') || isCut !== (text !== one.repeat(20)))
        t.fail(`${one} at ${max}: ${text}`);
      if (isCut && text !== `${one.repeat(text.replaceAll('…', '').length / one.length)}…`)
        t.fail(`${one} at ${max}: ${text}`);
    }
  const exact = paramsOf(withClient('x'.repeat(fieldBytesMax)));
  t.equal(exact.client?.length, fieldBytesMax);
  t.notOk('cut' in exact);
  const long = {
    ...withClient('x'.repeat(fieldBytesMax + 1)),
    sensitiveText: JSON.stringify({ window: '漢'.repeat(4000) }),
  };
  const cut = paramsOf(long);
  t.match(cut.client, /^x{8189}…$/);
  t.match(cut['sensitive.window'], /^漢{2729}…$/);
  t.equal(cut.cut, 'client,sensitive.window');
  t.equal(extensionOf(long).cofferdamCut, 'client,sensitive.window');
  // Bytes, and not characters: of the second, characters are a third.
  for (const one of ['"', '漢']) {
    const huge = JSON.stringify(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, one.repeat(9000)])));
    for (const format of ['rfc5424', 'cef'] as const) {
      const message = syslogMessage(format, { ...entry, publicText: huge }, source);
      t.ok(bytesOf(message) < 65_000, `even that is taken by receivers that take 64 KiB: ${one}`);
      t.equal(
        (format === 'cef' ? extensionOf : paramsOf)({ ...entry, publicText: huge })[
          format === 'cef' ? 'cofferdamCut' : 'cut'
        ]?.split(',').length,
        20,
      );
    }
  }
});

test('messages are framed by counted octets or as lines', async (t) => {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
  t.equal(text(framed('<1>ä', 'octets')), '5 <1>ä', 'octets, not characters');
  t.equal(text(framed('<1>ä', 'lines')), '<1>ä\n');
});

test('a checkpoint is one line that can be split into its lines again', async (t) => {
  const note = 'cofferdam/x\n7\nAAAA\n\n— cofferdam/x BBBB\n';
  const message = syslogCheckpoint(note, entry.at, source);
  t.notMatch(message, '\n');
  const { params, messageId } = parseSyslog(message);
  t.equal(messageId, 'ledger.checkpoint');
  t.equal(params.note?.replaceAll('\\n', '\n'), note);
});

const whole: ForwardedEntry = {
  ...entry,
  handle: 'the handle',
  version: 'the version',
  extent: 3,
  bytes: 4096,
  alsoCredential: 'the other credential',
  operator: 'alice',
  kind: 'file.withdrawn',
  publicText: '{"path": "a/b", "sha256": "00ff", "reason": "x"}',
  sensitiveText: '{}',
};

test('every column is told, under its own name', (t) => {
  const params = paramsOf(whole);
  t.match(params, { handle: 'the handle', version: 'the version', extent: '3', bytes: '4096', operator: 'alice' });
  t.equal(params.alsoCredential, 'the other credential');
  t.match(
    syslogMessage('rfc5424', whole, source),
    /\] a version was taken out of its folder; acme-upload of acme; a\/b$/,
  );
  const nobody = { ...whole, accountName: null, customerName: null, publicText: '{}', kind: 'unheard.of' };
  t.match(syslogMessage('rfc5424', nobody, source), /\] unheard\.of$/);
  const extension = extensionOf(whole);
  t.match(extension, { fsize: '4096', fname: 'a/b', fileHash: '00ff', reason: 'x', cofferdamHandle: 'the handle' });
  t.match(extension, {
    cs4: 'the version',
    cs4Label: 'version',
    cs5: 'alice',
    cs5Label: 'operator',
    cn1: '3',
    cn1Label: 'extent',
  });
  t.equal(extension.cofferdamAlsoCredential, 'the other credential');
  t.equal(
    extensionOf({ ...whole, publicText: '{"break-glass": 1}' }).cofferdamPublicBreakglass,
    '1',
    'a key of letters and digits only',
  );
  t.match(syslogMessage('cef', { ...whole, kind: 'login.refused' }, source), /\|6\|rt=/);
  for (const text of ['null', '7', '"x"']) {
    const names = Object.keys(paramsOf({ ...whole, publicText: text }));
    t.same([names[0], names.filter((name) => name.startsWith('public.'))], ['number', []], `${text} has no fields`);
  }
  t.end();
});

test('which kinds are critical, warnings or notices, kind by kind', (t) => {
  const severity = (...kinds: readonly string[]): readonly number[] => kinds.map(severityOf);
  t.same(
    severity(
      'ledger.frozen',
      'row.broken-seal',
      'self-test.failed',
      'break-glass.opened',
      'break-glass.used',
      'database.changed',
    ),
    [2, 2, 2, 2, 2, 2],
  );
  t.same(
    severity(
      'login.strangers',
      'customer.suspended',
      'account.locked',
      'credential.revoked',
      'upload.expired',
      'upload.interrupted',
    ),
    [4, 4, 4, 4, 4, 4],
  );
  t.same(severity('deposit.repeated-content', 'file.released', 'break-glass.closed'), [4, 4, 4]);
  t.end();
});

test('the borders of control characters, of headers and of long messages', (t) => {
  t.equal(paramsOf(withClient('\u001f \u007e\u007f\u0080')).client, '\u241f ~\u2421\ufffd');
  const header = (kind: string, hostname: string): string =>
    syslogMessage('rfc5424', { ...entry, kind }, { ...source, hostname });
  t.match(header('k'.repeat(32), 'h'.repeat(255)), /Z h{255} cofferdam - k{32} /);
  t.match(header('k'.repeat(33), 'h'.repeat(256)), /Z - cofferdam - - /);
  const withFields = (bytes: number): ForwardedEntry => {
    const fields = Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [`f${i}`, 'x'.repeat(i === 7 ? bytes : 7500)]),
    );
    return { ...entry, publicText: JSON.stringify(fields) };
  };
  const lengthOf = (bytes: number): number => bytesOf(syslogMessage('rfc5424', withFields(bytes), source));
  const most = 60_000 - lengthOf(1) + 1;
  t.equal(lengthOf(most), 60_000, 'as long as a message may be');
  t.equal(paramsOf(withFields(most))['public.f0']?.length, 7500, 'nothing is cut');
  const narrow = paramsOf(withFields(most + 1));
  t.equal(bytesOf(narrow['public.f0'] ?? ''), 1024, 'one byte more, and long values are cut');
  t.match(narrow.cut, /^public\.f0,public\.f1/);
  t.equal(paramsOf(withClient('x'.repeat(8192))).client?.length, 8192);
  t.equal(shorten('€€€', 2).text, '\u2026', 'less than one character');
  t.equal(shorten('€€€', 8).text, '€\u2026');
  t.equal(shorten('€€€', 7).text, '€\u2026', 'as many characters as fit');
  t.equal(shorten('€€€', 9).isCut, false);
  t.match(
    syslogCheckpoint('a\\b\nc', 1_795_543_200_123_456, source),
    /^<110>1 .* ledger\.checkpoint \[cofferdam@32473 note="a\\\\\\\\b\\\\nc"\] a signed checkpoint of the record$/,
  );
  t.end();
});
