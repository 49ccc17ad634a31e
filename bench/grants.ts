// Owns: `npm run bench:grants [SECONDS] [REPEATS]`, the measurement of how many extents a second the queue of one
// warden charges, records and commits, on the real schema. Each caller asks again when it has its answer (closed loop),
// for one customer and for 64. The arguments are the seconds of each cell and the repeats. The last line of the output
// is JSON.
import { createBatchQueue } from '../server/warden/budgets/batch-queue.ts';
import { type ChargeAnswer, type ChargeRequest, callChargeBatch } from '../server/warden/budgets/charge-queries.ts';
import { Bank, type Reader, startBankDatabase } from '../test/support/bank.ts';

const seconds = Number(process.argv[2] ?? 5);
const repeats = Number(process.argv[3] ?? 3);
const callers = [1, 4, 16, 64] as const;
const customersMany = 64;
/**
 * The number of files of each customer. There are enough extents that no cell asks for one twice: a single customer is
 * read by all callers, one of many by only a few.
 */
const filesOf = (customers: number): number => (customers === 1 ? 40 : 4);
const extentsPerFile = 4000;

type Cell = {
  readonly customers: number;
  readonly callers: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};

const works: (() => Promise<void> | void)[] = [];
const given = await startBankDatabase({ teardown: (work) => void works.unshift(work) });

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

async function measure(
  readers: readonly Reader[],
  count: number,
  next: Map<Reader, number>,
): Promise<Omit<Cell, 'customers'>> {
  const queue = createBatchQueue<ChargeRequest, ChargeAnswer>({
    url: given.sql.wardenUrl,
    applicationName: 'bench',
    call: callChargeBatch,
  });
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: count }, async (_, caller) => {
      for (let i = caller; performance.now() < end; i += count) {
        const reader = readers[i % readers.length] as Reader;
        const at = next.get(reader) ?? 0;
        next.set(reader, at + 1);
        const asked = performance.now();
        const answer = await queue.request({
          session: reader.session,
          download: reader.downloads[Math.floor(at / extentsPerFile) % reader.downloads.length] ?? '',
          index: at % extentsPerFile,
        });
        if (answer.outcome !== 'granted') throw new Error(`not granted: ${answer.outcome}`);
        times.push(performance.now() - asked);
      }
    }),
  );
  const elapsed = (performance.now() - started) / 1000;
  await queue.stop();
  times.sort((a, b) => a - b);
  return {
    callers: count,
    perSecond: times.length / elapsed,
    p50Ms: percentile(times, 0.5),
    p99Ms: percentile(times, 0.99),
  };
}

async function fill(customers: number): Promise<readonly Reader[]> {
  const readers: Reader[] = [];
  // A single customer has four sessions, which its callers share.
  const sessions = customers === 1 ? 4 : 1;
  for (let i = 0; i < customers; i += 1) {
    const bank = await Bank.create(given, `bank-${customers}-${i}`, 65_536);
    for (let file = 0; file < filesOf(customers); file += 1) await bank.addFile(extentsPerFile);
    for (let one = 0; one < sessions; one += 1) readers.push(await bank.addReader());
  }
  return readers;
}

const cells: Cell[] = [];
try {
  for (const customers of [1, customersMany]) {
    const readers = await fill(customers);
    await given.sql.query('analyze');
    const next = new Map<Reader, number>();
    await measure(readers, 64, next);
    for (const count of callers) {
      const runs: Omit<Cell, 'customers'>[] = [];
      for (let run = 0; run < repeats; run += 1) runs.push(await measure(readers, count, next));
      const cell = {
        customers,
        callers: count,
        perSecond: Math.round(median(runs.map((one) => one.perSecond))),
        p50Ms: Number(median(runs.map((one) => one.p50Ms)).toFixed(2)),
        p99Ms: Number(median(runs.map((one) => one.p99Ms)).toFixed(2)),
      };
      cells.push(cell);
      process.stdout.write(
        `${String(customers).padStart(2)} customers, ${String(count).padStart(2)} callers: ${String(cell.perSecond).padStart(6)} grants/s, p50 ${cell.p50Ms} ms, p99 ${cell.p99Ms} ms\n`,
      );
    }
  }
  process.stdout.write(`${JSON.stringify({ seconds, repeats, cells })}\n`);
} finally {
  for (const work of works) await work();
}
