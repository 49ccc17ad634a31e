// An archive counts only when it is, to the last byte, the one that was written; every other file is named.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'tap';
import type { Client } from '../../admin-cli/connection/client.ts';
import { absence, lineCharactersMax, readArchive } from '../../admin-cli/incident/archive-file.ts';
import { huntArchives, requireArchives } from '../../admin-cli/incident/archive-hunt.ts';
import type { ListedIndicator } from '../../server/domain/incident/indicators.ts';
import { temporaryDirectory } from '../support/database.ts';

const line = (
  number: number,
  given: { readonly source?: string; readonly text?: string; readonly session?: string } = {},
): string =>
  `${JSON.stringify({
    entry: [
      ...[
        '00000000-0000-0000-0000-000000000000',
        number,
        number,
        1_700_000_000_000_000 + number,
        'login.refused',
        'warden',
        null,
        null,
      ],
      ...[given.session ?? null, null, null, null, null, null, null, given.text ?? '{}'],
      ...[null, null, given.source ?? '192.0.2.7', 22, 'SSH-2.0-Gö', null, '{}', 'salt', 'leaf'],
    ],
  })}\n`;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const three = [1, 2, 3].map((number) => line(number)).join('');
const whole = gzipSync(three);

test('a file is complete, or the message says why not', async (t) => {
  const path = join(temporaryDirectory(t), 'archive');
  const read = async (bytes: Uint8Array, expected: { sha256?: string; entries?: number } = {}) => {
    writeFileSync(path, bytes);
    const clients: (string | null)[] = [];
    const fault = await readArchive(path, { sha256: sha256(bytes), entries: 3, ...expected }, (entry) =>
      clients.push(entry.client),
    );
    return { fault, clients };
  };
  t.same(await read(whole), { fault: undefined, clients: ['SSH-2.0-Gö', 'SSH-2.0-Gö', 'SSH-2.0-Gö'] });
  t.equal(
    (await read(Buffer.concat([gzipSync(line(1)), gzipSync(line(2) + line(3))]))).fault,
    undefined,
    'packed in parts',
  );
  t.equal((await read(gzipSync(''), { entries: 0 })).fault, undefined, 'a month without entries');
  for (const [bytes, wanted] of [
    [whole.subarray(0, -5), /^is cut off$/],
    [whole.subarray(0, 12), /^is cut off$/],
    [Buffer.alloc(0), /^is cut off$/],
    [gzipSync(three.slice(0, -1)), /^ends in the middle of an entry, after line 2$/],
    [Buffer.from(three), /^is damaged: it cannot be unpacked$/],
    [Buffer.concat([whole, Buffer.from('more')]), /^is damaged: it cannot be unpacked$/],
    [gzipSync(`${line(1)}{"head":[1]}\n${line(3)}`), /^has no entry in line 2$/],
    [gzipSync(`${three}\n`), /^has no entry in line 4$/],
    [gzipSync('x'.repeat(lineCharactersMax + 1)), /^has a line after line 0 that is too long for an entry$/],
  ] as const)
    t.match((await read(bytes)).fault, wanted);
  const changed = gzipSync(three.replace('192.0.2.7', '192.0.2.8'));
  t.equal(
    (await read(changed, { sha256: sha256(whole) })).fault,
    `is not the file that was written: its SHA-256 is ${sha256(changed)}, the gateway has ${sha256(whole)}`,
  );
  const padded = Buffer.concat([whole, Buffer.alloc(100_000)]);
  t.match(
    (await read(padded, { sha256: sha256(whole) })).fault,
    /^is not the file that was written/,
    'bytes behind it that no entry is in',
  );
  t.equal((await read(whole, { entries: 4 })).fault, 'has 3 entries, the gateway has 4');
  t.equal(absence(path), undefined);
  t.equal(absence(`${path}-2`), 'is missing');
  t.equal(absence(join(path, '..')), 'is no file');
  t.equal(await readArchive(`${path}-2`, { sha256: '', entries: 0 }, () => {}), 'cannot be read (ENOENT)');
});

test('characters and lines across the borders of what is read at once', async (t) => {
  const path = join(temporaryDirectory(t), 'archive');
  const text = Array.from({ length: 4000 }, (_, i) =>
    line(i, { text: JSON.stringify({ path: 'äöü€'.repeat(i % 97) }) }),
  ).join('');
  const bytes = gzipSync(text);
  writeFileSync(path, bytes);
  let again = '';
  const fault = await readArchive(path, { sha256: sha256(bytes), entries: 4000 }, (entry) => {
    again += line(entry.number, { text: entry.publicText });
  });
  t.equal(fault, undefined);
  t.ok(again === text, 'every one as it was');
});

test('all faulty files are named at once, and there is no answer', async (t) => {
  const directory = temporaryDirectory(t);
  const client = { call: (async () => ({ accounts: [], customers: [] })) as unknown as Client['call'] };
  const indicators: readonly ListedIndicator[] = [{ type: 'address', value: '192.0.2.7', line: 4, note: null }];
  const months = ['2025-01', '2025-02', '2025-03', '2025-04'];
  const archives = months.map((month) => ({
    month,
    file: `ledger-${month}.jsonl.gz`,
    sha256: sha256(whole),
    entries: 3,
    isOnline: false,
    deletedAt: null,
  }));
  const hunt = () => huntArchives(client, { directory, archives, indicators }, () => {});
  for (const { file } of archives) writeFileSync(join(directory, file), whole);
  requireArchives(directory, archives);
  const { hits, entries } = await hunt();
  t.equal(entries, 12);
  t.match(hits.get(0), {
    hits: 12,
    sessions: 0,
    accounts: [],
    kinds: [{ kind: 'login.refused', count: 12 }],
    more: false,
  });

  writeFileSync(join(directory, 'ledger-2025-02.jsonl.gz'), whole.subarray(0, -1));
  writeFileSync(join(directory, 'ledger-2025-04.jsonl.gz'), gzipSync(line(1)));
  await t.rejects(hunt(), {
    code: 'corrupt',
    message:
      /ledger-2025-02\.jsonl\.gz is cut off\nledger-2025-04\.jsonl\.gz is not the file that was written[\s\S]*There is no answer/,
  });
  const bad = { type: 'sha256', value: 'ab'.repeat(32), line: 1, note: null } as const;
  writeFileSync(join(directory, 'ledger-2025-01.jsonl.gz'), gzipSync(line(1) + line(2, { text: '{"sha256"' })));
  await t.rejects(
    huntArchives(client, { directory, archives, indicators: [bad] }, () => {}),
    {
      message: /ledger-2025-01\.jsonl\.gz line 2: a text of an entry is not JSON/,
    },
  );
  mkdirSync(join(directory, 'empty'));
  t.throws(() => requireArchives(join(directory, 'empty'), archives), {
    code: 'configuration',
    message: /ledger-2025-01\.jsonl\.gz is missing\n[\s\S]*ledger-2025-04\.jsonl\.gz is missing\n/,
  });
  t.throws(() => requireArchives(join(directory, 'nowhere'), archives), { code: 'configuration' });
  requireArchives(join(directory, 'nowhere'), []);
});

test('names are asked for once each, in parts', async (t) => {
  const { namesFrom } = await import('../../admin-cli/incident/archive-names.ts');
  const asked: number[] = [];
  const call = async (_operation: string, { accounts, customers, accountNames }: Record<string, readonly string[]>) => {
    asked.push((accounts?.length ?? 0) + (customers?.length ?? 0) + (accountNames?.length ?? 0));
    const all = accounts?.length
      ? accounts.map((id) => ({ id, name: `a ${id}` }))
      : (accountNames ?? []).map((name) => ({ id: `id ${name}`, name }));
    return {
      accounts: all.filter((one) => !one.id.includes('gone')),
      customers: (customers ?? []).map((id) => ({ id, name: `c ${id}` })),
    };
  };
  const names = namesFrom({ call: call as unknown as Client['call'] });
  const ids = Array.from({ length: 600 }, (_, i) => String(i));
  await names.learn([...ids, ...ids], ['x']);
  t.same(asked, [250, 250, 100, 1]);
  await names.learn([...ids, 'gone'], ['x']);
  await names.learn(['gone'], []);
  t.same(asked.slice(4), [1], 'who is not there is asked for once');
  t.same(names.ofAccounts(['2', 'gone', '1', 'never']), ['a 1', 'a 2']);
  t.same(names.ofCustomers(['x']), ['c x']);
  t.same(await names.accountIds(['b', 'b', 'gone']), new Map([['b', 'id b']]));
});
