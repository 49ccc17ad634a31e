// Owns: the signals that ask a process of ours to stop in order: Ctrl-C, a stop by a supervisor or by the machine, and
// the loss of the terminal or connection.
// Must never: list a signal that only some of our processes handle. Every process stops for all of them, and in the
// same orderly way.

export const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const satisfies readonly NodeJS.Signals[];
