// The console over the real `ssh`: enrolment with a ticket, windows, keys requested with a signature, receipts; each
// refusal with its allowed twin.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { isGenuine } from '../../admin-cli/file/receipt.ts';
import type { Teardown } from '../support/database.ts';
import { FreshCodes } from '../support/fresh-codes.ts';
import { makeKey, type SshRun, sftpLines, sshCommand, sshConnection } from '../support/ssh.ts';
import { type Done, run, startWorld, type World } from '../support/world.ts';

type As = (account: string, command: string, input?: SshRun['input']) => Promise<Done>;

/** Commands by persons of the demo world, who log in once with key and code. */
function persons(t: Teardown, world: World): As {
  const open = new Map<string, Awaited<ReturnType<typeof sshConnection>>>();
  t.teardown(async () => {
    for (const one of open.values()) await one.close();
  });
  return async (account, command, input) => {
    let connection = open.get(account);
    if (connection === undefined) {
      connection = await sshConnection(world, {
        account,
        keyFile: world.keyFile(account),
        code: await world.code(account),
      });
      if (connection.code !== 0) throw new Error(connection.err);
      open.set(account, connection);
    }
    return connection.say(command, input);
  };
}
const batch = (world: World, account = 'acme-batch'): SshRun => ({ account, keyFile: world.keyFile(account) });

test('windows: a person of the customer opens and closes them', async (t) => {
  const world = await startWorld(t);
  const as = persons(t, world);
  t.equal((await world.cofferctl(['window', 'close', 'acme-batch'])).code, 0);
  t.not((await sftpLines(world, batch(world), ['pwd'])).code, 0, 'no window, no session');
  const opened = await as('acme', 'unlock acme-batch --for 8h');
  t.equal(opened.code, 0, opened.err);
  t.match(opened.out, /acme-batch may log in with its key alone until \d{4}-/);
  t.equal((await sftpLines(world, batch(world), ['pwd'])).code, 0, 'the window stands for the second factor');
  t.match((await as('acme', 'windows')).out, /^acme-batch: open until /m);
  t.notMatch(opened.out, /another window/);
  const shorter = await as('acme', 'unlock acme-batch --for 1h');
  t.match(
    shorter.out,
    /until \S+.*; another window of it is open until \d{4}-/,
    'what is said is not less than what is open',
  );
  const locked = await as('acme', 'lock acme-batch');
  t.match(locked.out, /window closed, 0 sessions ended/);
  t.not((await sftpLines(world, batch(world), ['pwd'])).code, 0, 'and no session again');

  for (const [account, command, words] of [
    ['globex', 'unlock acme-batch --for 1h', /your organisation has no machine account named acme-batch/],
    ['globex', 'unlock nobody --for 1h', /your organisation has no machine account named nobody/],
    ['acme', 'unlock acme --for 1h', /no machine account named acme/],
    ['globex', 'unlock globex-batch --for 25h', /at most 24h/],
    ['globex', 'sh -c id', /no such command/],
    ['acme-2', 'unlock acme-2-batch; id', /expected: unlock/],
  ] as const) {
    const done = await as(account, command);
    t.not(done.code, 0, `${account}: ${command} is refused`);
    t.match(done.err, words);
  }
  const machine = await sshCommand(world, batch(world, 'globex-batch'), 'unlock globex-batch --for 1h');
  t.not(machine.code, 0, 'a machine cannot open its own window');
  t.match(machine.err, /for persons/);
  t.match(
    (await sshCommand(world, batch(world, 'globex-batch'), 'whoami')).out,
    /^globex-batch: a machine account of globex/,
    'but may ask who it is',
  );
  const shell = await sshCommand(world, batch(world, 'globex-batch'), '');
  t.match(shell.out, /unlock ACCOUNT --for 8h/, 'instead of a shell there is the list of commands');
  const log = await world.cofferctlJson<{ windows: { account: string; openedBy: string }[] }>(['window', 'list']);
  t.ok(
    log.windows.every((one) => one.account !== 'acme-batch'),
    'nothing of acme-batch is open',
  );
  t.notMatch(world.log, /defect/);
});

test('a machine enrols with key and ticket, and its code opens sessions from then on', async (t) => {
  const world = await startWorld(t);
  t.equal((await world.cofferctl(['window', 'close', 'acme-batch'])).code, 0);
  const file = join(world.directory, 'ticket');
  const none = await world.cofferctl(['mfa', 'ticket', 'acme-batch']);
  t.equal(none.code, 2, 'a ticket is not printed into a pipe');
  t.match(none.err, /--out FILE/);
  const issued = await world.cofferctl(['mfa', 'ticket', 'acme-batch', '--out', file, '--json']);
  t.equal(issued.code, 0, issued.err);
  const written = readFileSync(file, 'utf8').trim();
  t.match(written, /^[a-z2-7-]{16,}$/);
  t.notOk(issued.out.includes(written), 'what is written to a file is not printed, not for programs either');
  t.match(JSON.parse(issued.out), { file });
  t.equal(
    (await world.cofferctl(['mfa', 'ticket', 'acme-batch', '--out', file])).code,
    2,
    'a file that is there is not overwritten',
  );
  const ticket = readFileSync(file, 'utf8').trim();
  const enrolling = { ...batch(world), ticket };
  t.match(
    (await sshCommand(world, { ...batch(world), ticket: 'aaaaaa-bbbbbb-cccccc-dddddd' }, 'enroll')).err,
    /denied/i,
    'a wrong ticket opens nothing',
  );
  t.not((await sftpLines(world, enrolling, ['ls deposit'])).code, 0, 'the ticket reaches no file');
  t.match((await sshCommand(world, enrolling, 'windows')).err, /for enrolling a second factor only/);
  let [secret, spent] = ['', ''];
  const codes = new FreshCodes();
  const wrong = await sshCommand(
    world,
    { ...enrolling, input: (out) => (out.includes('type the code') ? '000000\n000000\n000000\n' : undefined) },
    'enroll',
  );
  t.not(wrong.code, 0, 'three wrong codes enrol nothing');
  const enrolled = await sshCommand(
    world,
    {
      ...enrolling,
      input: (out) => {
        secret = /Secret: ([A-Z2-7]{32})/.exec(out)?.[1] ?? '';
        if (!out.includes('type the code')) return undefined;
        spent = codes.current(secret);
        return `${spent}\n`;
      },
    },
    'enroll',
  );
  t.equal(enrolled.code, 0, enrolled.out.slice(-300) + enrolled.err);
  t.match(enrolled.out, /\u2580|\u2584|\u2588/, 'with a QR code');
  t.match(enrolled.out, /otpauth:\/\/totp\/Cofferdam:acme-batch\?/);
  t.not((await sshCommand(world, enrolling, 'enroll')).code, 0, 'the ticket is good once');
  t.not((await sftpLines(world, { ...batch(world), code: spent }, ['pwd'])).code, 0, 'so is the code');
  t.equal(
    (await sftpLines(world, { ...batch(world), code: await codes.next(secret) }, ['pwd'])).code,
    0,
    'key and code from a secret store',
  );
  t.notMatch(world.log, new RegExp(`${secret}|${ticket}`), 'neither secret is in a log');
  const dump = await run('sh', [
    '-c',
    'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | grep -c "$0" || true',
    ticket,
  ]);
  t.ok(Number(dump.out) <= 1, 'nor in the arguments of a process');

  t.equal(
    (await world.cofferctl(['mfa', 'ticket', 'acme-batch', '--out', `${file}2`])).code,
    5,
    'no ticket while there is a factor',
  );
  t.match((await world.cofferctl(['mfa', 'reset', 'acme-batch', '--reason', 'test'])).out, /was removed/);
  t.not(
    (await sftpLines(world, { ...batch(world), code: await codes.next(secret) }, ['pwd'])).code,
    0,
    'after a reset the old codes are nothing',
  );
  t.equal((await world.cofferctl(['mfa', 'ticket', 'acme-batch', '--out', `${file}2`])).code, 0);
});

test('a new key from the customer: signed by the current one, waiting, confirmed by a second person', async (t) => {
  const world = await startWorld(t);
  const as = persons(t, world);
  const next = makeKey(world, 'next');
  const fingerprint = (await run('ssh-keygen', ['-lf', `${next.file}.pub`])).out.split(' ')[1] ?? '';
  const requests = join(world.directory, 'requests');
  mkdirSync(requests);
  const expires = new Date(Date.now() + 200 * 86_400_000).toISOString().slice(0, 10);
  const { verifierKeys } = await world.cofferctlJson<{ verifierKeys: readonly string[] }>(['ledger', 'status']);
  const installation = /^cofferdam\/([0-9a-f-]{36})\+/.exec(verifierKeys[0] ?? '')?.[1] ?? '';
  /** The request and its signatures as a person makes them: by a key of the account, and by the new key. */
  const signed = async (
    signer: string,
    change: Readonly<Record<string, string>> = {},
    namespace = 'cofferdam-key',
    newKey: string | null = next.file,
  ): Promise<string> => {
    const fields = { installation, account: 'acme-batch', fingerprint, expires, key: next.publicLine, ...change };
    const file = join(requests, `r${Math.random().toString(36).slice(2)}`);
    writeFileSync(
      file,
      `cofferdam key request\ninstallation ${fields.installation}\naccount ${fields.account}\nfingerprint ${fields.fingerprint}\nexpires ${fields.expires}\nkey ${fields.key}\n`,
    );
    const text = readFileSync(file, 'utf8');
    const signatures: string[] = [];
    for (const key of [signer, newKey]) {
      if (key === null) continue;
      const done = await run('ssh-keygen', ['-Y', 'sign', '-n', namespace, '-f', key], { input: text });
      if (done.code !== 0) throw new Error(done.err);
      signatures.push(done.out);
    }
    return text + signatures.join('');
  };
  const machineKey = world.keyFile('acme-batch');
  const good = await signed(machineKey);
  for (const [why, account, input] of [
    ['signed by the new key itself', 'acme', await signed(next.file)],
    ["signed by the person's own key", 'acme', await signed(world.keyFile('acme'))],
    ["another customer's machine", 'globex', good],
    [
      'signed for another gateway',
      'acme',
      await signed(machineKey, { installation: '7b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11' }),
    ],
    ['signed for another purpose', 'acme', await signed(machineKey, {}, 'file')],
    ['another key under the signature', 'acme', good.replace(/^expires .*$/m, 'expires 2099-01-01')],
    ['the fingerprint of another key', 'acme', await signed(machineKey, { fingerprint: `SHA256:${'A'.repeat(43)}` })],
    ['expired', 'acme', await signed(machineKey, { expires: '2020-01-01' })],
    ['longer than keys live', 'acme', await signed(machineKey, { expires: '2099-01-01' })],
    ['no signature', 'acme', good.slice(0, good.indexOf('-----BEGIN'))],
    ['without a signature by the new key', 'acme', await signed(machineKey, {}, 'cofferdam-key', null)],
    [
      'another key in the place of the new one',
      'acme',
      await signed(machineKey, {}, 'cofferdam-key', world.keyFile('acme')),
    ],
    ['nothing', 'acme', ''],
  ] as const) {
    const done = await as(account, 'keys add', input);
    t.not(done.code, 0, `${why}: refused`);
  }
  t.notMatch((await as('acme', 'keys')).out, new RegExp(fingerprint.replaceAll('+', '\\+')), 'none of them left a key');

  const asked = await as('acme', 'keys add', good);
  t.equal(asked.code, 0, asked.out + asked.err);
  t.match(asked.out, /is good from \d{4}-/);
  const withNew = { account: 'acme-batch', keyFile: next.file };
  t.not((await sftpLines(world, withNew, ['pwd'])).code, 0, 'not before its time');
  t.match((await as('acme', 'keys')).out, /good from/, 'its owner sees it waiting');
  t.match(
    (await world.cofferctl(['alert', 'list'])).out,
    /acme asked for a new key of acme-batch/,
    'and the contact is told',
  );
  t.not((await as('acme', `keys confirm ${fingerprint}`)).code, 0, 'who asked cannot confirm');
  t.not((await as('globex', `keys confirm ${fingerprint}`)).code, 0, 'nor another customer');
  t.match(
    (await as('acme', 'keys add', good)).err,
    /^this key cannot be added: generate another key/,
    'the same request again adds nothing',
  );
  // Nobody is told that a key belongs to another bank, except whoever holds the key.
  const theirs = readFileSync(`${world.keyFile('globex')}.pub`, 'utf8')
    .trim()
    .split(' ')
    .slice(0, 2)
    .join(' ');
  const unknown = makeKey(world, 'nobodys');
  const printOf = async (file: string): Promise<string> =>
    (await run('ssh-keygen', ['-lf', file])).out.split(' ')[1] ?? '';
  const answers: string[] = [];
  for (const [key, print] of [
    [theirs, await printOf(`${world.keyFile('globex')}.pub`)],
    [unknown.publicLine, await printOf(`${unknown.file}.pub`)],
  ] as const) {
    const said = await as(
      'acme',
      'keys add',
      await signed(machineKey, { fingerprint: print, key }, 'cofferdam-key', world.keyFile('acme')),
    );
    t.not(said.code, 0);
    answers.push(said.err.replaceAll(print, 'KEY'));
  }
  t.equal(answers[0], answers[1], 'the same words for a registered key and for one that nobody has');

  t.equal(
    (
      await world.cofferctl([
        'account',
        'create',
        'acme-second',
        '--customer',
        'acme',
        '--kind',
        'person',
        '--manages',
        'yes',
      ])
    ).code,
    0,
  );
  const second = makeKey(world, 'second');
  t.equal((await world.cofferctl(['key', 'add', 'acme-second', '--file', `${second.file}.pub`])).code, 0);
  const ticketFile = join(world.directory, 'second-ticket');
  t.equal((await world.cofferctl(['mfa', 'ticket', 'acme-second', '--out', ticketFile])).code, 0);
  let secret = '';
  const codes = new FreshCodes();
  const person = { account: 'acme-second', keyFile: second.file };
  const enrolled = await sshCommand(
    world,
    {
      ...person,
      ticket: readFileSync(ticketFile, 'utf8').trim(),
      input: (out) => {
        secret = /Secret: ([A-Z2-7]{32})/.exec(out)?.[1] ?? '';
        return out.includes('type the code') ? `${codes.current(secret)}\n` : undefined;
      },
    },
    'enroll',
  );
  t.equal(enrolled.code, 0, enrolled.err);
  const confirmed = await sshCommand(
    world,
    { ...person, code: await codes.next(secret) },
    `keys confirm ${fingerprint}`,
  );
  t.equal(confirmed.code, 0, confirmed.out + confirmed.err);
  t.equal((await sftpLines(world, withNew, ['pwd'])).code, 0, 'a second person makes it good at once');
  t.equal((await sftpLines(world, batch(world), ['pwd'])).code, 0, 'old and new are both good');
  t.match(
    (await world.cofferctl(['credential', 'list', '--account', 'acme-batch'])).out,
    /retiring/,
    'and the old one retires, since the new one was used',
  );
  const narrow = makeKey(world, 'narrow');
  t.equal(
    (
      await world.cofferctl([
        'key',
        'add',
        'acme-batch',
        '--file',
        `${narrow.file}.pub`,
        '--read-only',
        'yes',
        '--networks',
        '127.0.0.6',
      ])
    ).code,
    0,
  );
  const heir = makeKey(world, 'heir');
  const heirPrint = (await run('ssh-keygen', ['-lf', `${heir.file}.pub`])).out.split(' ')[1] ?? '';
  t.equal(
    (
      await as(
        'acme',
        'keys add',
        await signed(narrow.file, { fingerprint: heirPrint, key: heir.publicLine }, 'cofferdam-key', heir.file),
      )
    ).code,
    0,
    'a restricted key may ask for its successor',
  );
  const { credential } = await world.cofferctlJson<{ credential: object }>(['credential', 'show', heirPrint]);
  t.match(
    credential,
    { readOnly: true, networks: ['127.0.0.6/32'], state: 'pending' },
    'which may do no more than it could',
  );
  const reader = makeKey(world, 'reader');
  t.equal(
    (await world.cofferctl(['key', 'add', 'acme-second', '--file', `${reader.file}.pub`, '--read-only', 'yes'])).code,
    0,
  );
  const readOnly = { account: 'acme-second', keyFile: reader.file, code: await codes.next(secret) };
  const kept = await sshConnection(world, readOnly);
  t.match((await kept.say('unlock acme-batch --for 1h')).err, /read-only/, 'a read-only key manages nothing');
  t.equal((await kept.say('windows')).code, 0, 'but may look');
  await kept.close();
  const revoked = await as('acme', `keys revoke ${fingerprint}`);
  t.equal(revoked.code, 0, revoked.out);
  t.not((await sftpLines(world, withNew, ['pwd'])).code, 0, 'its owner can end it for good');
  t.not((await as('acme', 'keys add', good)).code, 0, 'and the old request does not bring it back');
});

test('receipts, and what the record says about a console', async (t) => {
  const world = await startWorld(t);
  const as = persons(t, world);
  const local = join(world.directory, 'pain.xml');
  writeFileSync(local, '<xml/>');
  t.equal(
    (await world.sftp('acme-batch', [`put ${local} deposit/pain 1.xml`.replace('pain 1.xml', '"pain 1.xml"')])).code,
    0,
  );
  const receipt = await as('acme', 'receipt deposit/pain 1.xml');
  t.equal(receipt.code, 0, receipt.out);
  const { publicKey } = await world.cofferctlJson<{ publicKey: string }>([
    'file',
    'receipt',
    '--customer',
    'acme',
    '--path',
    '/deposit/pain 1.xml',
  ]);
  t.ok(isGenuine(receipt.out, publicKey), 'the receipt verifies');
  const key = await as('globex', 'receipt-key');
  t.match([key.code, key.out.startsWith(publicKey.trimEnd())], [0, true], 'every bank gets the key');
  // A bank checks it with the commands that are printed, word for word.
  const commands = key.out.split('\n').filter((line) => /^ {2}(?:head|sed|openssl|sha256sum) /.test(line));
  t.equal(commands.length, 4);
  const check = async (text: string): Promise<Done> => {
    const directory = join(world.directory, 'checked');
    mkdirSync(directory, { recursive: true });
    for (const [name, content] of [
      ['receipt-key', key.out],
      ['receipt', text],
      ['pain.001.xml', '<xml/>'],
    ] as const)
      writeFileSync(join(directory, name), content);
    return run('sh', ['-e', '-c', commands.join('\n')], { cwd: directory });
  };
  const checked = await check(receipt.out);
  t.match([checked.code, checked.out], [0, /Verified Successfully/], checked.err);
  t.ok(
    receipt.out.includes(`"sha256":"${/[0-9a-f]{64}/.exec(checked.out)?.[0]}"`),
    'and it states the hash of the file',
  );
  t.not((await check(receipt.out.replace('pain 1', 'pain 2'))).code, 0, 'the twin: a receipt of another file does not');
  t.equal(
    (await world.sftp('acme-batch', [`put ${local} deposit/pain-2.tmp`])).code,
    0,
    'held: nobody else may know of it',
  );
  const unpublished = await as('acme', 'receipt deposit/pain-2.tmp');
  t.match(
    [unpublished.code, unpublished.out + unpublished.err],
    [/[^0]/, /no complete file of this name/],
    "a colleague's unpublished file",
  );
  t.equal((await world.sftp('acme-batch', ['rename deposit/pain-2.tmp deposit/pain-2.xml'])).code, 0);
  t.equal((await as('acme', 'receipt deposit/pain-2.xml')).code, 0, 'once it is published');
  for (const [account, name] of [
    ['globex', 'deposit/pain 1.xml'],
    ['acme', 'deposit/other.xml'],
    ['acme', '../../etc/passwd'],
    ['acme', 'deposit'],
  ] as const)
    t.not((await as(account, `receipt ${name}`)).code, 0, `${account}: receipt ${name} is refused`);
  const acme = await sshConnection(world, {
    account: 'acme',
    keyFile: world.keyFile('acme'),
    code: await world.code('acme'),
  });
  t.equal((await acme.say('whoami')).code, 0);
  await acme.close();
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: world.databaseUrl });
  await client.connect();
  for (let tries = 0; tries < 100; tries += 1) {
    const ended = await client.query(
      "select 1 from ledger where kind = 'session.ended' and account_id = (select id from account where name = 'acme')",
    );
    if (ended.rowCount === 1) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { rows } = await client.query<{ kind: string; n: number }>(
    "select kind, count(*)::int as n from ledger where account_id = (select id from account where name = 'acme') and kind in ('session.opened', 'session.ended', 'console.used') group by kind order by kind",
  );
  await client.end();
  t.same(
    rows,
    [
      { kind: 'console.used', n: 7 },
      { kind: 'session.ended', n: 1 },
      { kind: 'session.opened', n: 2 },
    ],
    'opened, used and closed, each time',
  );
});
