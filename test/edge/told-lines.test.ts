// The words that a client is told beside its stream, on standard error: few, short, clean, and never in the way of the
// stream.
import { test } from 'tap';
import { CofferdamError, type ErrorCode } from '../../server/domain/errors.ts';
import { ToldLines, toldBounds, toldBytes } from '../../server/edge/seam/told-lines.ts';
import { channelExtendedData } from '../../server/edge/transport/messages/channel-extended-data.ts';
import { number } from '../../server/edge/transport/messages/numbers.ts';
import { oneChannel } from '../support/one-channel.ts';
import { SessionBench, statusOf, textOf } from '../support/session-bench.ts';

const wordsOf = (said: readonly Buffer[]): readonly string[] =>
  said
    .filter((one) => one[0] === number.channelExtendedData)
    .map((one) => Buffer.from(channelExtendedData.read(one).data).toString('utf8'));

test('a session is told six lines a minute, and the last one says that there are no more', (t) => {
  const told = new ToldLines();
  const lines = Array.from({ length: 100 }, (_, i) => told.line(`no ${i}`, i));
  t.same(
    lines.filter((one) => one !== undefined),
    ['no 0', 'no 1', 'no 2', 'no 3', 'no 4', 'no 5; further refusals of this minute are not shown'],
  );
  t.equal(told.line('no', 59_999), undefined);
  t.equal(told.line('no more', 60_000), 'no more', 'the next minute has its own');
  t.end();
});

test('the refusals of one file are one line, and the same sentence later is told again', (t) => {
  const told = new ToldLines();
  t.equal(told.line('no', 0), 'no');
  for (let at = 1; at < 64; at += 1) t.equal(told.line('no', at), undefined);
  t.equal(told.line('no', 63 + toldBounds.sameMs), 'no');
  t.equal(told.line('never', 64 + toldBounds.sameMs), 'never');
  t.end();
});

test('a line has no control characters, one end, and a length that is bounded', (t) => {
  t.equal(toldBytes('a\u001b[2Jb\r\nc\u202e').toString(), 'a?[2Jb??c?\n');
  const long = toldBytes('é'.repeat(1000));
  t.ok(long.length <= toldBounds.lineBytesMax, `${long.length} bytes`);
  t.match(long.toString(), /^é+.?…\n$/u);
  t.end();
});

test('a line goes out as extended data and takes its bytes from the window of the client', (t) => {
  const { channel, said } = oneChannel({ window: 100 });
  channel.tell('no');
  t.same(wordsOf(said), ['no\n']);
  channel.send([Buffer.alloc(1000)]);
  const data = said.filter((one) => one[0] === number.channelData);
  t.equal(
    data.reduce((sum, one) => sum + one.length - 9, 0),
    97,
    'what is left of the window is for the stream',
  );
  t.end();
});

test('a window that is nearly full is for the stream: lines wait for it, four at most', (t) => {
  const { channel, said } = oneChannel({ window: 11 });
  for (let i = 0; i < 10; i += 1) channel.tell(`n${i}`);
  t.same(wordsOf(said), [], 'three bytes are more than a quarter of eleven');
  channel.widen(1000);
  t.same(wordsOf(said), ['n0\n', 'n1\n', 'n2\n', 'n3\n']);
  channel.close();
  channel.tell('late');
  t.equal(wordsOf(said).length, 4, 'nothing after the end');
  t.end();
});

test('one channel is told 32 KiB at most in its life, because many clients never read them', (t) => {
  const { channel, said } = oneChannel({ window: 10_000_000 });
  for (let i = 0; i < 1000; i += 1) channel.tell('x'.repeat(100));
  const bytes = wordsOf(said).reduce((sum, one) => sum + one.length, 0);
  t.ok(bytes <= toldBounds.channelBytesMax && bytes > toldBounds.channelBytesMax - 200, `${bytes} bytes`);
  t.end();
});

test('every refusal of SFTP tells its sentence, except what clients say by themselves', async (t) => {
  const bench = new SessionBench(t);
  const mkdir = async (code: ErrorCode, text: string): Promise<Buffer | undefined> => {
    bench.script = () => {
      throw new CofferdamError(code, text);
    };
    return bench.ask(14, '/deposit/x', Buffer.alloc(4));
  };
  const reply = await mkdir('over-limit', 'the limit is reached');
  t.equal(statusOf(reply), 4);
  t.equal(textOf(reply), 'the limit is reached');
  t.same(bench.told, ['the limit is reached']);
  await mkdir('denied', 'this is not yours');
  t.same(bench.told.splice(0), ['the limit is reached', 'this is not yours']);
  await mkdir('not-found', 'no such file');
  t.same(bench.told, [], '"No such file" is what the client says anyway');
  await bench.ask(99);
  t.same(bench.told, ['this operation is not offered']);
});
