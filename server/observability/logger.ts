// Owns: the only importer of `pino`. One JSON line per event on standard error; pretty on a terminal.
// Must never: receive a secret; known secret fields are redacted as a second line.
import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/config.ts';

export type { Logger };

/** A logger whose every line names the process's role and node. */
export function createLogger(config: Pick<Config, 'log'>, role: string, node?: string): Logger {
  const options = {
    level: config.log.level,
    base: node === undefined ? { role } : { role, node },
    redact: { paths: ['key', 'token', 'password', 'seed', '*.key', '*.token', '*.password', '*.seed'], censor: '[redacted]' },
  };
  return config.log.pretty
    ? pino(options, pretty({ destination: 2, sync: true, ignore: 'pid,hostname' }))
    : pino(options, pino.destination(2));
}
