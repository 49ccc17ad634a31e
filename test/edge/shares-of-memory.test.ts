// What one channel may hold, to the byte: its minimum, its maximum, and what all channels may hold together. Each thing
// is given back once.
import { test } from 'tap';
import { SegmentShelf } from '../../server/edge/sftp/segment-shelf.ts';
import { BufferReserve, floors } from '../../server/edge/transport/buffer-reserve.ts';
import { segmentBytes } from '../../server/extents/sealed-format.ts';

const MiB = 2 ** 20;

test('early bytes: a minimum for every channel, a maximum for each, a sixteenth for all', (t) => {
  const most = 4.25 * MiB;
  const roomy = new BufferReserve(1024 * MiB);
  const one = roomy.account();
  t.ok(one.takeEarly(most), 'the most of one channel');
  t.notOk(one.takeEarly(1), 'and not a byte more, whatever is free');
  t.equal(roomy.totals.early, most, 'what was refused is not counted');
  one.giveEarly(1);
  t.ok(one.takeEarly(1));

  const poor = new BufferReserve(16 * MiB);
  const [first, second] = [poor.account(), poor.account()];
  t.ok(first.takeEarly(MiB), 'the sixteenth');
  t.notOk(first.takeEarly(1));
  t.ok(second.takeEarly(floors.early), 'its floor, although nothing is free');
  t.notOk(second.takeEarly(1));
  first.close();
  t.equal(poor.totals.early, floors.early, 'what a channel held leaves with it');
  t.ok(second.takeEarly(1));
  first.giveEarly(MiB);
  t.equal(poor.totals.early, floors.early + 1, 'an account that is closed gives nothing back again');
  t.end();
});

test('memory into which sockets are read: a sixteenth, and what each needs beyond it', (t) => {
  const reserve = new BufferReserve(16 * MiB);
  t.equal(reserve.sockets.take(MiB), true);
  t.equal(reserve.sockets.take(1), false);
  reserve.sockets.need(10);
  t.equal(reserve.socketBytes, MiB + 10);
  reserve.sockets.give(11);
  t.equal(reserve.sockets.take(1), true);
  t.equal(reserve.sockets.take(1), false);
  t.end();
});

test('windows: what is free, or the minimum; segments, replies and uploads: room up to the maximum', (t) => {
  const reserve = new BufferReserve(16 * MiB);
  const [first, second] = [reserve.account(), reserve.account()];
  t.equal(first.takeWindow(10 * MiB), 5 * MiB, 'five sixteenths');
  t.equal(second.takeWindow(10 * MiB), floors.windows);
  t.equal(second.takeWindow(10 * MiB), 0);
  first.giveWindow(100);
  t.equal(second.takeWindow(10 * MiB), 0, 'the floors are beyond the bound: what is free is counted from there');
  first.leave();
  t.equal(reserve.totals.windows, floors.windows);
  const large = new BufferReserve(1024 * MiB);
  for (const [add, has, most] of [
    ['addReplies', 'hasReplyRoom', 8 * MiB],
    ['addSegments', 'hasSegmentRoom', 10 * MiB],
    ['addUploads', 'hasUploadRoom', 10 * MiB],
  ] as const) {
    const account = large.account();
    account[add](most - 1);
    t.equal(account[has], true, has);
    account[add](1);
    t.equal(account[has], false, `${has}: the most`);
    const other = new BufferReserve(0).account();
    other[add](512 * 1024 - (add === 'addReplies' ? 256 * 1024 : 0) - 1);
    t.equal(other[has], true, `${has}: below the floor`);
    other[add](1);
    t.equal(other[has], false, `${has}: at the floor, where nothing is free`);
  }
  t.end();
});

/** What the shelf counts for each segment beside its bytes. */
const segmentCostBytes = 512;

test('a shelf keeps the newest segments; each is counted once and given back once', (t) => {
  let held = 0;
  let room = 3;
  const shelf = new SegmentShelf({
    addSegments: (bytes: number): void => {
      held += bytes;
    },
    get hasSegmentRoom() {
      return held <= room * segmentBytes;
    },
  } as unknown as ConstructorParameters<typeof SegmentShelf>[0]);
  const dropped: number[] = [];
  const keep = (nth: number): (() => void) => shelf.keep(segmentBytes - segmentCostBytes, () => void dropped.push(nth));
  const gone = [0, 1, 2].map(keep);
  t.same([held, dropped], [3 * segmentBytes, []]);
  gone.push(keep(3));
  t.same([held, dropped], [3 * segmentBytes, [0]], 'the oldest goes');
  gone[0]?.();
  t.equal(held, 3 * segmentBytes, 'and is not given back twice');
  gone[2]?.();
  gone[2]?.();
  t.equal(held, 2 * segmentBytes, 'nor is one that went by itself');
  t.same(dropped, [0], 'which is not dropped');
  room = 0;
  keep(4);
  t.same([held, dropped], [segmentBytes, [0, 1, 3]], 'without room the newest stays: its reader waits for it');
  t.end();
});
