// Owns: which SFTP status a refused request is answered with: by the kind of error, and by what the request asked for.
// Must never: say NO_SUCH_FILE about what is there, or BAD_MESSAGE about a packet that could be parsed.
import { CofferdamError, type ErrorCode, errorCodes, type SftpStatus, sftpStatus } from '../../domain/errors.ts';

/** What a request is about: names, or a handle that an earlier request opened. */
export type Subject = 'names' | 'handle';

/**
 * The statuses that differ from those of `errorCodes` because of the subject. What is no longer there under a handle
 * is no missing file: the file was there when the handle was opened.
 */
const bySubject: Readonly<Record<Subject, Partial<Readonly<Record<ErrorCode, SftpStatus>>>>> = {
  names: {},
  handle: { 'not-found': sftpStatus.FAILURE },
};

/** Returns the status for an error of this code in answer to a request about `subject`. */
export function statusOf(code: ErrorCode, subject: Subject): SftpStatus {
  return bySubject[subject][code] ?? errorCodes[code].sftp;
}

/** What a request does with a path: it looks up what is there, or names what it would make. */
export type PathUse = 'look-up' | 'make';

/**
 * What it means that a name cannot exist. Such a name is not there for whoever looks it up; whoever would make it is
 * told what is wrong with it.
 */
const impossible: Readonly<Record<PathUse, ErrorCode>> = { 'look-up': 'not-found', make: 'conflict' };

/** Returns what `parse` returns. The error `invalid` that it throws becomes the one that fits the use of the path. */
export function usedFor<T>(use: PathUse, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof CofferdamError) || error.code !== 'invalid') throw error;
    throw new CofferdamError(impossible[use], error.message);
  }
}
