// An extent must be as long as the warden said when the file was opened: an extent of another length is given to
// nobody, not even in part.
import { test } from 'tap';
import { type as fx } from '../../server/edge/sftp/codec.ts';
import { sealedLength } from '../../server/extents/sealed-format.ts';
import { u32, u64 } from '../support/raw-client.ts';
import { sealedExtent } from '../support/sealed-extent.ts';
import { handleOf, honest, SessionBench, statusOf, textOf } from '../support/session-bench.ts';

const key = Buffer.alloc(32, 1);
const context = Buffer.from('context');

/** An extent of this many bytes, stored in its row. */
function granted(bytes: number): object {
  const inline = sealedExtent(key, context, Buffer.alloc(bytes, 'x'));
  const base64 = (what: Buffer): string => what.toString('base64');
  return {
    index: 0,
    objectId: '6b0f9a5297a54c7b9f4e0d1f4d9b8a15',
    key: base64(key),
    context: base64(context),
    bytes,
    sealedBytes: sealedLength(bytes),
    inline: base64(inline),
  };
}

test('an extent of the right length, a longer one, and a shorter one', async (t) => {
  for (const [bytes, isGiven] of [
    [1000, true],
    [1001, false],
    [999, false],
    [100, false],
  ] as const) {
    const bench = new SessionBench(t);
    bench.script = (op, params) => {
      if (op === 'download.locate') return { extents: [{ index: 0, offset: 0, bytes: 1000 }] };
      return op === 'download.grant' ? granted(bytes) : honest(op, params);
    };
    const handle = handleOf(await bench.ask(fx.open, '/f', u32(1), u32(0)));
    const answer = await bench.ask(fx.read, handle, u64(0), u32(50));
    if (isGiven) t.equal(answer?.subarray(9).toString(), 'x'.repeat(50), 'the twin');
    else t.same([statusOf(answer), textOf(answer)], [4, 'stored data does not verify'], `${bytes} bytes`);
  }
});
