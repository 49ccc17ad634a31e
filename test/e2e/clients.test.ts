// What OpenSSH clients do beside put and get.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { run, sha256File, startWorld } from '../support/world.ts';

test("OpenSSH's scp, reget, rekeying in the middle of a transfer, and a listing of many names", async (t) => {
  const world = await startWorld(t);
  const local = join(world.directory, 'local');
  mkdirSync(local);
  const path = join(local, 'file.bin');
  writeFileSync(path, randomBytes(30_000_000));
  const sha256 = await sha256File(path);
  const { host, port } = world.demo.partner;
  const common = (name: string): readonly string[] => [
    '-F',
    '/dev/null',
    '-q',
    '-o',
    'IdentitiesOnly=yes',
    '-o',
    'IdentityAgent=none',
    '-o',
    `UserKnownHostsFile=${join(world.directory, 'demo', 'known_hosts')}`,
    '-i',
    world.keyFile(name),
  ];

  const up = await run('scp', [
    ...common('acme-batch'),
    '-P',
    String(port),
    path,
    `acme-batch@${host}:deposit/scp.bin`,
  ]);
  t.equal(up.code, 0, `scp up ends with 0: ${up.err}`);
  const down = await run('scp', [
    ...common('processor'),
    '-P',
    String(world.demo.internal.port),
    `processor@${host}:acme/deposit/scp.bin`,
    join(local, 'scp-got'),
  ]);
  t.equal(down.code, 0, `scp down ends with 0: ${down.err}`);
  t.equal(await sha256File(join(local, 'scp-got')), sha256);

  const rekey = (name: string, limit = '5M'): readonly string[] => [
    ...world.sftpArguments(name).slice(0, -1),
    '-o',
    `RekeyLimit=${limit}`,
    '-b',
    '-',
    world.sftpArguments(name).at(-1) ?? '',
  ];
  const rekeyed = await run('sftp', rekey('acme-batch'), { input: `put ${path} deposit/rekey.bin\n` });
  t.equal(rekeyed.code, 0, `upload with new keys every 5 MB: ${rekeyed.err}`);
  const back = await run('sftp', rekey('processor'), {
    input: `get acme/deposit/rekey.bin ${join(local, 'rekey-got')}\n`,
  });
  t.equal(back.code, 0, `download with new keys every 5 MB: ${back.err}`);
  t.equal(await sha256File(join(local, 'rekey-got')), sha256);

  writeFileSync(join(local, 'part'), readFileSync(path).subarray(0, 12_345_678));
  writeFileSync(join(local, 'often'), readFileSync(path).subarray(0, 6_000_000));
  const often = await run('sftp', rekey('acme-batch', '1M'), {
    input: `put ${join(local, 'often')} deposit/often.bin\n`,
    timeoutMs: 100_000,
  });
  t.equal(often.code, 0, `upload with new keys every MB, which has to wait for some: ${often.err}`);
  const resumed = await world.sftp('processor', [`reget acme/deposit/scp.bin ${join(local, 'part')}`]);
  t.equal(resumed.code, 0, resumed.err);
  t.equal(await sha256File(join(local, 'part')), sha256, 'reget completes a download');

  // Sizes around every boundary of the format, up and down.
  const sizes = [
    0, 1, 32_767, 32_769, 65_535, 65_536, 65_537, 262_087, 262_088, 262_089, 16_776_151, 16_776_152, 16_776_153,
  ];
  for (const size of sizes) writeFileSync(join(local, `s${size}`), randomBytes(size));
  const sent = await world.sftp('globex-batch', [
    'cd deposit',
    ...sizes.map((size) => `put ${join(local, `s${size}`)}`),
  ]);
  t.equal(sent.code, 0, sent.err);
  const got = await world.sftp('processor', [
    'cd globex/deposit',
    ...sizes.map((size) => `get s${size} ${join(local, `g${size}`)}`),
  ]);
  t.equal(got.code, 0, got.err);
  for (const size of sizes)
    t.equal(await sha256File(join(local, `g${size}`)), await sha256File(join(local, `s${size}`)), `${size} bytes`);

  const many = join(local, 'many');
  mkdirSync(many);
  for (let i = 0; i < 350; i += 1) writeFileSync(join(many, `n${i}`), String(i));
  t.equal((await world.sftp('acme-2-batch', [`lcd ${many}`, 'cd deposit', 'mput *'])).code, 0);
  const listed = await world.sftp('processor', ['ls -1 acme-2/deposit']);
  t.equal(listed.out.split('\n').filter((line) => line.includes('/n')).length, 350, 'every name of a paged listing');
});
