// Owns: what is measured of each side: the rows of the measurement, the figures of each row, and their units.

export const rowNames = ['upload', 'download', 'small', 'parallel', 'login', 'list'] as const;
export type RowName = (typeof rowNames)[number];

type Metric = {
  readonly row: RowName;
  readonly title: string;
  readonly unit: string;
  /** Decimal places. */
  readonly digits: number;
  /** Whether the last line of the output says it as a ratio of medians, ours to the other side's. */
  readonly isRatio: boolean;
};
const metric = (row: RowName, title: string, unit: string, digits: number, isRatio = true): Metric => ({
  row,
  title,
  unit,
  digits,
  isRatio,
});

/** In the order of the report. The name of a ratio is that of its figure with `Ratio`. */
export const metrics = {
  uploadThroughput: metric('upload', 'upload of one large file', 'MiB/s', 0),
  uploadCpu: metric('upload', 'its processor time, server', 'CPU s/GiB', 2),
  uploadClientCpu: metric('upload', 'its processor time, client', 'CPU s/GiB', 2, false),
  downloadThroughput: metric('download', 'download of one large file', 'MiB/s', 0),
  downloadCpu: metric('download', 'its processor time, server', 'CPU s/GiB', 2),
  downloadClientCpu: metric('download', 'its processor time, client', 'CPU s/GiB', 2, false),
  smallPutTime: metric('small', 'put of 1 KiB, one after the other', 'ms per file', 2),
  smallPutCpu: metric('small', 'its processor time, server', 'CPU ms per file', 2, false),
  smallPutWithLoginTime: metric('small', 'the same with a share of the login, of 300 files', 'ms per file', 2),
  smallGetTime: metric('small', 'get of 1 KiB, one after the other', 'ms per file', 2),
  smallGetCpu: metric('small', 'its processor time, server', 'CPU ms per file', 2, false),
  smallGetWithLoginTime: metric('small', 'the same with a share of the login, of 300 files', 'ms per file', 2),
  parallelPutRate: metric('parallel', 'puts of 1 KiB by 16 sessions', 'files/s', 0),
  parallelPutCpu: metric('parallel', 'their processor time, server', 'CPU ms per file', 2, false),
  parallelPutWithLoginRate: metric('parallel', 'the same with the 16 logins', 'files/s', 0),
  parallelGetRate: metric('parallel', 'gets of 1 KiB by 16 sessions', 'files/s', 0),
  parallelGetCpu: metric('parallel', 'their processor time, server', 'CPU ms per file', 2, false),
  parallelGetWithLoginRate: metric('parallel', 'the same with the 16 logins', 'files/s', 0),
  loginAndSmallPutTime: metric('login', 'login and put of 4 KiB', 'ms', 0, false),
  loginAndSmallPutCpu: metric('login', 'its processor time, server', 'CPU ms', 1),
  listTime: metric('list', '`ls -1` of 10,000 names', 'ms', 0),
  listCpu: metric('list', 'its processor time, server', 'CPU ms', 0, false),
} as const satisfies Readonly<Record<string, Metric>>;

export type MetricName = keyof typeof metrics;
export const metricNames = Object.keys(metrics) as readonly MetricName[];
/** What one measurement of a row says. */
export type Sample = Readonly<Partial<Record<MetricName, number>>>;
