// Owns: the closed registry of error codes and the one error class of the product.
// Must never: carry a host path, a key, another customer's name or a database text to a customer.

/** SFTP v3 status codes, draft-ietf-secsh-filexfer-02 section 7. */
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

/** One row per code: how it looks to an SFTP client, as an exit code of the command line, and in the log. */
export const errorCodes = {
  /** A parameter, name or document does not have the form it must have. Nothing was changed. */
  invalid: { sftp: sftpStatus.BAD_MESSAGE, exit: 2, level: 'info' },
  /** Does not exist, or may not be known to exist by this caller. */
  'not-found': { sftp: sftpStatus.NO_SUCH_FILE, exit: 3, level: 'info' },
  /** The rights or the folder's rules forbid it. */
  denied: { sftp: sftpStatus.PERMISSION_DENIED, exit: 4, level: 'info' },
  /** It is there already, or its state forbids it now. */
  conflict: { sftp: sftpStatus.FAILURE, exit: 5, level: 'info' },
  /** A budget, a quota or the free-space floor refuses. */
  'over-limit': { sftp: sftpStatus.FAILURE, exit: 6, level: 'warn' },
  /** A part of the gateway cannot be reached or is frozen; nothing was acknowledged. */
  unavailable: { sftp: sftpStatus.FAILURE, exit: 7, level: 'error' },
  /** The product does not offer this operation. */
  unsupported: { sftp: sftpStatus.OP_UNSUPPORTED, exit: 8, level: 'info' },
  /** The session is over: ended, expired, or its credential or account was withdrawn. */
  'session-ended': { sftp: sftpStatus.CONNECTION_LOST, exit: 9, level: 'info' },
  /** Stored bytes do not verify. */
  corrupt: { sftp: sftpStatus.FAILURE, exit: 10, level: 'error' },
  /** A configuration or environment fault found at start. */
  configuration: { sftp: sftpStatus.FAILURE, exit: 78, level: 'error' },
  /** A defect of the product. The text is stripped before it leaves the process. */
  bug: { sftp: sftpStatus.FAILURE, exit: 70, level: 'error' },
} as const satisfies Record<string, Row>;
export type ErrorCode = keyof typeof errorCodes;

/** The one error that may cross a room's boundary. `message` is written for the person who reads it and reveals nothing else. */
export class CofferdamError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'CofferdamError';
    this.code = code;
  }
}

/** Anything thrown, as an error that may leave the process: unknown errors become `bug` with a fixed text. */
export function toCofferdamError(thrown: unknown): CofferdamError {
  if (thrown instanceof CofferdamError) return thrown;
  return new CofferdamError('bug', 'internal error', { cause: thrown });
}
