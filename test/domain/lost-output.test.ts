import { EventEmitter } from 'node:events';
import { test } from 'tap';
import { isLostOutput, outlive } from '../../server/domain/lost-output.ts';

class Sink extends EventEmitter {
  readonly written: string[] = [];
  write(text: string): boolean {
    this.written.push(text);
    return true;
  }
}
const fault = (code: string): Error => Object.assign(new Error(code), { code });

test('a reader that has gone, and a terminal that was closed, are no fault of the writer; a disk that is full loses a line', async (t) => {
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
  t.notOk(isLostOutput({ code: 'EIO' }));
  t.notOk(isLostOutput(new Error('EIO')));
});
