// Owns: the signals that ask a process of ours to stop in order: Ctrl-C, a supervisor's or a machine's stop, a terminal or a connection that is gone.
// Must never: hold a signal that only some of them heed: whoever stops for one, stops for all, and ends with the same care.

export const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const satisfies readonly NodeJS.Signals[];
