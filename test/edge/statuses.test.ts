// Which status a refusal has: by the kind of error, and by what the request asked for.
import { test } from 'tap';
import { CofferdamError, type ErrorCode, errorCodes, sftpStatus } from '../../server/domain/errors.ts';
import { statusOf, usedFor } from '../../server/edge/sftp/statuses.ts';

const { NO_SUCH_FILE, FAILURE, BAD_MESSAGE } = sftpStatus;
const codes = Object.keys(errorCodes) as ErrorCode[];

test('only a packet that cannot be parsed is a bad message, and only a name is no such file', (t) => {
  for (const subject of ['names', 'handle'] as const)
    t.same(
      codes.filter((code) => statusOf(code, subject) === BAD_MESSAGE),
      ['malformed'],
      subject,
    );
  t.same(
    codes.filter((code) => statusOf(code, 'names') === NO_SUCH_FILE),
    ['not-found'],
  );
  t.same(
    codes.filter((code) => statusOf(code, 'handle') === NO_SUCH_FILE),
    [],
  );
  t.equal(statusOf('not-found', 'handle'), FAILURE);
  for (const code of codes)
    if (code !== 'not-found') t.equal(statusOf(code, 'handle'), errorCodes[code].sftp, `${code}: about a handle`);
  t.end();
});

test('a name that cannot exist: not there when it is looked up, refused with its fault when it would be made', (t) => {
  const failing = (code: ErrorCode) => (): never => {
    throw new CofferdamError(code, 'a fault');
  };
  t.throws(() => usedFor('look-up', failing('invalid')), { code: 'not-found', message: 'a fault' });
  t.throws(() => usedFor('make', failing('invalid')), { code: 'conflict', message: 'a fault' });
  for (const use of ['look-up', 'make'] as const) {
    t.throws(() => usedFor(use, failing('malformed')), { code: 'malformed' }, 'any other error stays what it is');
    t.equal(
      usedFor(use, () => 7),
      7,
    );
  }
  t.end();
});
