// Owns: the only importer of `pino`. One JSON line per event on standard error; pretty on a terminal. So many lines of a kind in a minute, and the number of the others.
// Must never: receive a secret; known secret fields are redacted as a second line. Or end its process because nobody reads it any more.
import { Writable } from 'node:stream';
import { type Logger, type LoggerOptions, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/config.ts';
import { outlive } from '../domain/lost-output.ts';
import { LineBounds } from './line-bounds.ts';

export type { Logger };

const flushMs = 60_000;
/** Bytes that are kept for a disk that is full; what is more is lost. */
const unwrittenMax = 4 * 1024 * 1024;
/** Lines below this are for whoever asked for them. */
const boundedFrom = pino.levels.values.info ?? 30;
const never = pino.levels.values.fatal ?? 60;

/** All loggers of this process say at its end what they had not said. */
const flushes = new Set<() => void>();
process.once('exit', () => {
  for (const flush of flushes) flush();
});

const fieldsOf = (first: unknown): Readonly<Record<string, unknown>> =>
  first instanceof Error ? { err: first } : typeof first === 'object' && first !== null ? (first as Record<string, unknown>) : {};

type Hook = NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']>;

/** The one door of all lines: what an outsider makes happen again and again is written a few times, whoever forgot that he can (T-34). */
function boundedBy(bounds: LineBounds): Hook {
  return function (args, method, level) {
    const [first, second] = args as readonly unknown[];
    const fields = fieldsOf(first);
    const message = typeof first === 'string' ? first : typeof second === 'string' ? second : '';
    // An alert counts as logged, and has a bound of its own: one row a kind, subject and hour.
    const isFree = level < boundedFrom || level >= never || 'alert' in fields || 'unwritten' in fields;
    if (isFree || bounds.take(level, message, fields)) method.apply(this, args);
  };
}

const standardError = (): ReturnType<typeof outlive> => outlive(pino.destination({ dest: 2, sync: true, maxLength: unwrittenMax }));

/** pino-pretty's own output would not outlive the terminal. */
function prettily(output: ReturnType<typeof outlive>): ReturnType<typeof pretty> {
  const destination = new Writable({
    decodeStrings: false,
    write: (line, _encoding, done) => {
      output.write(String(line));
      done();
    },
  });
  return pretty({ destination, sync: true, ignore: 'pid,hostname' });
}

/** A logger whose every line names the process's role and node. */
export function createLogger(config: Pick<Config, 'log'>, role: string, node?: string): Logger {
  const bounds = new LineBounds();
  const options = {
    level: config.log.level,
    base: node === undefined ? { role } : { role, node },
    redact: { paths: ['key', 'token', 'password', 'seed', '*.key', '*.token', '*.password', '*.seed'], censor: '[redacted]' },
    hooks: { logMethod: boundedBy(bounds) },
  };
  const log = pino(options, config.log.pretty ? prettily(standardError()) : standardError());
  const flush = (): void => {
    for (const { level, message, of, more } of bounds.flush()) {
      const about = of === 'others' ? { others: true } : of;
      const line = { ...about, unwritten: more };
      const text = `${message} (${more} more times within a minute)`;
      if (level >= (pino.levels.values.error ?? 50)) log.error(line, text);
      else if (level >= (pino.levels.values.warn ?? 40)) log.warn(line, text);
      else log.info(line, text);
    }
  };
  flushes.add(flush);
  setInterval(flush, flushMs).unref();
  return log;
}
