// Owns: the only import of `pino`. Each event is one line of JSON on standard error, or readable text on a terminal.
// The number of lines of one kind in a minute is limited, and the number of the others is reported.
// Must never: receive a secret (known secret fields are redacted as a second line of defence), or end its process
// because nobody reads the log any more.
import { Writable } from 'node:stream';
import { type Logger, type LoggerOptions, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/config.ts';
import { outlive } from '../domain/lost-output.ts';
import { LineBounds } from './line-bounds.ts';

export type { Logger };

const flushMs = 60_000;
/** How many bytes are kept while the disk is full. What exceeds this is lost. */
const unwrittenMax = 4 * 1024 * 1024;
/** Lines below this level (debug and trace) are not limited: somebody asked for them. */
const boundedFrom = pino.levels.values.info ?? 30;
const never = pino.levels.values.fatal ?? 60;

/** At the end of the process, every logger reports the lines that it has not written. */
const flushes = new Set<() => void>();
process.once('exit', () => {
  for (const flush of flushes) flush();
});

const fieldsOf = (first: unknown): Readonly<Record<string, unknown>> =>
  first instanceof Error
    ? { err: first }
    : typeof first === 'object' && first !== null
      ? (first as Record<string, unknown>)
      : {};

type Hook = NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']>;

/**
 * Returns the hook through which all lines pass. An event that an outsider can repeat at will is written only a few
 * times, also where the calling code does not think of that (T-34).
 */
function boundedBy(bounds: LineBounds): Hook {
  return function (args, method, level) {
    const [first, second] = args as readonly unknown[];
    const fields = fieldsOf(first);
    const message = typeof first === 'string' ? first : typeof second === 'string' ? second : '';
    // A line about an alert is not limited here, because alerts have a limit of their own: one row for each kind,
    // subject and hour.
    const isFree = level < boundedFrom || level >= never || 'alert' in fields || 'unwritten' in fields;
    if (isFree || bounds.take(level, message, fields)) method.apply(this, args);
  };
}

const standardError = (): ReturnType<typeof outlive> =>
  outlive(pino.destination({ dest: 2, sync: true, maxLength: unwrittenMax }));

/**
 * Returns a stream that formats lines for a terminal. pino-pretty's own output would not survive the loss of the
 * terminal.
 */
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

/** Returns a logger that adds the process's role and node to every line. */
export function createLogger(config: Pick<Config, 'log'>, role: string, node?: string): Logger {
  const bounds = new LineBounds();
  const options = {
    level: config.log.level,
    base: node === undefined ? { role } : { role, node },
    redact: {
      paths: ['key', 'token', 'password', 'seed', '*.key', '*.token', '*.password', '*.seed'],
      censor: '[redacted]',
    },
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
