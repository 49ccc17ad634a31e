// What a process does when its output can no longer be written.
import { EventEmitter } from 'node:events';
import { test } from 'tap';
import { isLostOutput, isWithoutRoom, outlive } from '../../server/domain/lost-output.ts';

class Sink extends EventEmitter {
  readonly written: string[] = [];
  write(text: string): boolean {
    this.written.push(text);
    return true;
  }
}
const fault = (code: string): Error => Object.assign(new Error(code), { code });

test('a reader that has gone, or a terminal that was closed, is no fault of the writer; a full disk loses a line', async (t) => {
  for (const code of ['EPIPE', 'EIO']) {
    const sink = new Sink();
    t.equal(outlive(sink), sink);
    sink.write('before');
    sink.emit('error', fault(code));
    t.equal(sink.write('after'), true, 'its writer goes on');
    t.same(sink.written, ['before'], `${code}: nothing more is kept for it`);
    sink.emit('error', fault(code));
  }
  const told: string[] = [];
  const sink = outlive(new Sink(), ({ message }) => void told.push(message));
  for (const code of ['ENOSPC', 'EDQUOT']) sink.emit('error', fault(code));
  t.same(told, ['ENOSPC', 'EDQUOT'], 'and whoever wants to know of it does');
  t.throws(() => sink.emit('error', fault('EBADF')), { code: 'EBADF' }, 'another fault is one');
  sink.write('later');
  t.same(sink.written, ['later']);
});

test('each failed write is of one kind, by the code of its error; what is no such error is of none', (t) => {
  const kinds = (error: unknown): readonly boolean[] => [isLostOutput(error), isWithoutRoom(error)];
  for (const code of ['EPIPE', 'EIO']) t.same(kinds(fault(code)), [true, false], code);
  for (const code of ['ENOSPC', 'EDQUOT']) t.same(kinds(fault(code)), [false, true], code);
  for (const other of [
    fault('EBADF'),
    fault(''),
    new Error('EIO'),
    new Error('ENOSPC'),
    { code: 'EIO' },
    { code: 'ENOSPC' },
    'EIO',
    null,
  ])
    t.same(kinds(other), [false, false], String(other));
  t.end();
});
