// Owns: the closed registry of error codes, and the one error class of the product.
// Must never: carry a host path, a key, another customer's name or a database message to a customer.

/** The SFTP version 3 status codes (draft-ietf-secsh-filexfer-02 section 7). */
export const sftpStatus = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  NO_CONNECTION: 6,
  CONNECTION_LOST: 7,
  OP_UNSUPPORTED: 8,
} as const;
export type SftpStatus = (typeof sftpStatus)[keyof typeof sftpStatus];

type Row = { readonly sftp: SftpStatus; readonly exit: number; readonly level: 'info' | 'warn' | 'error' };

/**
 * One row for each code: the status that an SFTP client sees (`edge/sftp/statuses.ts` names the requests for which it
 * is another one), the exit code of the command line, and the log level.
 */
export const errorCodes = {
  /** A packet cannot be parsed. */
  malformed: { sftp: sftpStatus.BAD_MESSAGE, exit: 2, level: 'info' },
  /** A parameter, name or document does not have the required form. Nothing was changed. */
  invalid: { sftp: sftpStatus.FAILURE, exit: 2, level: 'info' },
  /** The thing does not exist, or this caller may not know that it exists. */
  'not-found': { sftp: sftpStatus.NO_SUCH_FILE, exit: 3, level: 'info' },
  /** The caller's rights or the rules of the folder forbid the operation. */
  denied: { sftp: sftpStatus.PERMISSION_DENIED, exit: 4, level: 'info' },
  /** The thing exists already, or its present state forbids the operation. */
  conflict: { sftp: sftpStatus.FAILURE, exit: 5, level: 'info' },
  /** A budget, a quota or the limit of free disk space refuses the operation. */
  'over-limit': { sftp: sftpStatus.FAILURE, exit: 6, level: 'warn' },
  /** A part of the gateway cannot be reached or is frozen. Nothing was acknowledged. */
  unavailable: { sftp: sftpStatus.FAILURE, exit: 7, level: 'error' },
  /** The product does not offer this operation. */
  unsupported: { sftp: sftpStatus.OP_UNSUPPORTED, exit: 8, level: 'info' },
  /** The session is over: it was ended, it expired, or its credential or account was withdrawn. */
  'session-ended': { sftp: sftpStatus.CONNECTION_LOST, exit: 9, level: 'info' },
  /** Stored bytes fail verification. */
  corrupt: { sftp: sftpStatus.FAILURE, exit: 10, level: 'error' },
  /** A fault of the configuration or the environment, found at start. */
  configuration: { sftp: sftpStatus.FAILURE, exit: 78, level: 'error' },
  /** A defect of the product. The text of the error is removed before it leaves the process. */
  bug: { sftp: sftpStatus.FAILURE, exit: 70, level: 'error' },
} as const satisfies Record<string, Row>;
export type ErrorCode = keyof typeof errorCodes;

/**
 * The one error that may cross the boundary of a folder. `message` is written for the person who reads it, and reveals
 * nothing else.
 */
export class CofferdamError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'CofferdamError';
    this.code = code;
  }
}

/**
 * Returns an error that may leave the process for anything that was thrown. An unknown error becomes `bug` with a fixed
 * text. Where stopping failed after something had failed before, the first failure is the reason.
 */
export function toCofferdamError(thrown: unknown): CofferdamError {
  if (thrown instanceof CofferdamError) return thrown;
  if (thrown instanceof SuppressedError) return toCofferdamError(thrown.suppressed);
  return new CofferdamError('bug', 'internal error', { cause: thrown });
}
