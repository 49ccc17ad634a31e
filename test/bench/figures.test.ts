// What is made of the samples of `npm run bench`, and the document that is written from them.
import { test } from 'tap';
import { aligned, median, ratios, Samples, tableRows } from '../../bench/beside/figures.ts';
import { performanceDocument } from '../../bench/beside/performance-document.ts';

test('a median is the middle value, or the mean of the two in the middle', (t) => {
  t.equal(median([9, 1, 5]), 5);
  t.equal(median([4, 1, 2, 9]), 3);
  t.equal(median([7]), 7);
  t.ok(Number.isNaN(median([])));
  t.end();
});

/** Uploads of all sides, twice as fast and twice as dear as OpenSSH's; listings of ours and OpenSSH's. */
function measured(): Samples {
  const samples = new Samples();
  for (const throughput of [100, 300, 200]) {
    samples.add('cofferdam', { uploadThroughput: throughput, uploadCpu: 4, uploadClientCpu: 3 });
    samples.add('openssh', { uploadThroughput: throughput / 2, uploadCpu: 2, uploadClientCpu: 1 });
    samples.add('proftpd', { uploadThroughput: throughput * 2, uploadCpu: 5, uploadClientCpu: 1 });
  }
  samples.add('cofferdam', { listTime: 1250 });
  samples.add('openssh', { listTime: 1000 });
  return samples;
}
const sides = [
  { name: 'cofferdam', title: 'Ours' },
  { name: 'openssh', title: 'OpenSSH' },
  { name: 'proftpd', title: 'ProFTPD' },
] as const;

test('ratios are of medians, and only of what both sides were measured for', (t) => {
  t.same(ratios(measured().figures()), {
    uploadThroughputRatio: 2,
    uploadCpuRatio: 2,
    listTimeRatio: 1.25,
    uploadThroughputRatioProftpd: 0.5,
    uploadCpuRatioProftpd: 0.8,
  });
  t.same(ratios(new Samples().figures()), {});
  t.end();
});

test('the table has a column for each side, and leaves out what was not measured', (t) => {
  const rows = tableRows(measured().figures(), sides);
  t.same(rows[0], ['', '', 'Ours', 'OpenSSH', 'ProFTPD', 'to OpenSSH', 'to ProFTPD']);
  t.same(
    rows.find(([title]) => title?.startsWith('upload')),
    [
      'upload of one large file',
      'MiB/s',
      '200 (100 to 300)',
      '100 (50 to 150)',
      '400 (200 to 600)',
      '2.00 ×',
      '0.50 ×',
    ],
  );
  t.same(rows.at(-1)?.slice(2), ['1,250', '1,000', '', '1.25 ×', '']);
  t.equal(rows.length, 5);
  t.equal(
    aligned([
      ['a', 'b'],
      ['long', 'c'],
    ]),
    'a     b\nlong  c',
  );
  t.end();
});

const machine = {
  date: '2026-01-02',
  commit: 'abc1234 (a change)',
  cores: 2,
  model: 'a model',
  memoryGib: 16,
  kernel: '6.1',
  fileSystem: 'ext4',
  node: 'v24',
};

test('the document says only figures of the reports, and what was not measured', (t) => {
  const nothing = performanceDocument({});
  t.match(nothing, /Nothing was measured yet/);
  t.match(nothing, /Idle sessions were not measured yet/);
  const figures = measured().figures();
  const proftpdMissing = 'it is not installed';
  const transfers = { machine, mib: 64, rounds: 3, cpuWords: 'somehow', sides, proftpdMissing, figures };
  const counts = {
    sessions: 2000,
    mibPerSession: 0.25,
    idleCpuPercent: 2.5,
    restCpuPercent: 1,
    restMib: 500,
    mib: 1000,
  };
  const whole = performanceDocument({ transfers, sessions: { machine, ...counts, idleSeconds: 30 } });
  for (const words of [
    '2026-01-02 at commit abc1234 (a change)',
    'ProFTPD was not measured: it is not installed.',
    '| 200 (100 to 300) |',
    '| 1000 (0.250 a session) |',
    'with 2,000 sessions',
  ])
    t.ok(whole.includes(words), words);
  t.notMatch(whole, /NaN|undefined|null|not measured yet/);
  t.end();
});
