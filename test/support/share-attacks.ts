// Owns: attacks on lines of the table of shares that need no gateway: they attack the part that hands out places, with
// the numbers of the table.
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Test } from 'tap';
import { CommandQueue } from '../../server/admin/calls/command-queue.ts';
import { adminSlots, claimOfOperator } from '../../server/admin/calls/shares.ts';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { defaultShares } from '../../server/config/shares.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import type { NodeName } from '../../server/domain/ids.ts';
import { groupMax, type Share } from '../../server/domain/share.ts';
import { WardenClient } from '../../server/edge/warden-client/warden-client.ts';
import { createLogger } from '../../server/observability/logger.ts';
import type { Database, Transaction } from '../../server/postgres/database.ts';
import { ownDoor } from '../../server/rpc/door.ts';
import { type EdgeToWarden, edgeToWarden, wardenToEdge } from '../../server/rpc/edge-warden.ts';
import type { Handlers } from '../../server/rpc/operation.ts';
import { Peer } from '../../server/rpc/peer.ts';
import { Shelf } from '../../server/rpc/shelf.ts';
import { onBehalfOf, Slots } from '../../server/rpc/slots.ts';
import { Pieces } from '../../server/store/pieces.ts';
import { createBatchQueue } from '../../server/warden/budgets/batch-queue.ts';
import type { EdgeCaller } from '../../server/warden/callers/edge-caller.ts';
import { claimOf, doorOf, wardenSlots } from '../../server/warden/callers/shares.ts';
import { hashPassword, PasswordHashing } from '../../server/warden/credentials/passwords.ts';
import { temporaryDirectory } from './database.ts';
import { LoneStore } from './lone-store.ts';

const thief: EdgeCaller = { node: 'partner-1' as NodeName, plane: 'partner' };
const accomplice: EdgeCaller = { node: 'partner-2' as NodeName, plane: 'partner' };
const honest: EdgeCaller = { node: 'internal-1' as NodeName, plane: 'internal' };
const { admin, warden } = defaultShares;
/** Ten times what a busy machine took to delete a hundred unfinished objects. */
const roomMs = 10_000;

/**
 * One node, and then another one of its plane, keep all they can; the other plane keeps one more, and no value of
 * others is lost.
 */
async function attackShelf(t: Test, share: Share): Promise<void> {
  const gone: string[] = [];
  const shelf = new Shelf<string>(share, Number.POSITIVE_INFINITY, (value) => gone.push(value));
  shelf.put(claimOf(honest), 'honest', 'honest');
  for (let i = 0; i <= share.each; i += 1) shelf.put(claimOf(thief), `t${i}`, `t${i}`);
  t.same(gone, ['t0'], 'its own oldest makes room');
  for (let i = 0; i <= share.each; i += 1) shelf.put(claimOf(accomplice), `a${i}`, `a${i}`);
  shelf.put(claimOf(honest), 'another', 'another');
  t.equal(shelf.get('honest'), 'honest', "the other plane's stays");
  t.equal(shelf.get('another'), 'another', 'and has room for more');
}

export const attacksOnOurselves: Readonly<Record<string, (t: Test) => Promise<void>>> = {
  // By a whole gateway, with a warden that does not get them done: test/attack/waiting-commands.
  'admin.plans': async (t) => {
    const asked: string[] = [];
    // Nobody answers until the end: what was asked waits.
    let isAnswered = false;
    const database = {
      withSystem: async (work: (tx: Transaction) => Promise<unknown>) =>
        work({
          query: async (text: string, values: readonly unknown[] = []) => {
            if (text.startsWith('insert into command')) asked.push(`${values[1]} ${values[2]}`);
            return isAnswered && text.startsWith('select') ? [{ state: 'done', result: {} }] : [];
          },
        } as Transaction),
    } as unknown as Database;
    const commands = new CommandQueue(database, adminSlots(admin));
    const { each, waiting } = admin.plans;
    const refused: unknown[] = [];
    const sent: Promise<unknown>[] = [];
    const send = (id: string, role: string, operation: string): void =>
      onBehalfOf(claimOfOperator({ id, role }), () => {
        sent.push(commands.send(id, operation, {}).catch((error: unknown) => refused.push(error)));
      });
    for (let i = 0; i < each + waiting + 5; i += 1) send('vera', 'viewer', 'plan');
    await new Promise((resolve) => setImmediate(resolve));
    t.same(asked, Array(each).fill('vera plan'), 'so many of one person are asked at once');
    t.equal(refused.length, 5, 'so many wait for them, and no more');
    send('vera', 'viewer', 'warden.ping');
    send('alice', 'security-officer', 'plan');
    await new Promise((resolve) => setImmediate(resolve));
    t.same(
      asked.slice(each),
      ['vera warden.ping', 'alice plan'],
      'his other commands, and an officer, wait for none of them',
    );
    isAnswered = true;
    await Promise.all(sent);
    t.equal(asked.length, each + waiting + 2, 'and each has its turn');
    t.equal(refused.length, 5);
  },

  'warden.calls': async (t) => {
    const slots = wardenSlots(warden);
    let running = 0;
    const stuck = (): Promise<never> => {
      running += 1;
      return new Promise(() => {});
    };
    const call = (caller: EdgeCaller, op: string, work: () => Promise<unknown>): Promise<unknown> =>
      doorOf(slots, caller).within({ op, params: {} }, work);
    // Four connections, each read until this many of its calls are under way.
    for (let i = 0; i < 1024; i += 1) call(thief, 'tree.list', stuck).catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(running, warden.calls.each, 'so many and no more');
    const answer = async (): Promise<string> => 'answer';
    t.equal(await call(honest, 'tree.list', answer), 'answer', 'the other plane');
    t.equal(await call(accomplice, 'tree.list', answer), 'answer', 'another node of the same plane');
    t.equal(await call(thief, 'lease.renew', answer), 'answer', 'a lease waits for no other call');
  },

  'warden.grants': async (t) => {
    const queue = createBatchQueue<number, number>({
      url: 'postgresql://nobody@127.0.0.1:1/none',
      applicationName: 'test',
      slots: new Slots(warden.grants),
      call: () => new Promise(() => {}),
    });
    t.teardown(() => queue.stop());
    const refused: unknown[] = [];
    const ask = (caller: EdgeCaller, number: number): void =>
      onBehalfOf(claimOf(caller), () => {
        for (let i = 0; i < number; i += 1) queue.request(i).catch((error: unknown) => refused.push(error));
      });
    ask(thief, warden.grants.each + 10);
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(refused.length, 10);
    t.ok(refused.every((error) => error instanceof CofferdamError && error.code === 'over-limit'));
    ask(honest, 100);
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(refused.length, 10, 'the other plane has its places');
  },

  'warden.hashes': async (t) => {
    // A shorter queue than the table's: each hash takes a good part of a second of a processor.
    const waiting = 8;
    const hashing = new PasswordHashing(new Slots({ ...warden.hashes, waiting, waitMs: 300_000 }));
    const password = `abcdefgh-${'k'.repeat(32)}`;
    const stored = await hashPassword(createHash('sha256').update(password).digest('hex'));
    let done = 0;
    const flood = Array.from({ length: warden.hashes.each + waiting + 6 }, () =>
      hashing.verify(stored, password, true, claimOf(thief)).then((isRight) => {
        done += 1;
        return isRight;
      }),
    );
    t.equal(hashing.waiting, waiting, 'so many wait');
    t.equal(await hashing.verify(stored, password, false, claimOf(honest)), true);
    t.ok(
      done < 12,
      `the other plane did not stand in the line of this one, not even behind its known sources: ${done} of ${flood.length}`,
    );
    t.equal((await Promise.all(flood)).filter((one) => !one).length, 6, 'what found no place is refused');
  },

  'edge.calls': async (t) => {
    const directory = temporaryDirectory(t);
    const config = loadConfig({
      file: undefined,
      env: { COFFERDAM_VAR: directory },
      isRoot: false,
      isTerminal: false,
      projectDirectory: '/',
    });
    const path = runtimePaths(config).wardenSocket('partner-1');
    mkdirSync(dirname(path), { recursive: true });
    let stuck = 0;
    const never = (): Promise<never> => {
      stuck += 1;
      return new Promise(() => {});
    };
    const handlers: unknown = Object.fromEntries(Object.keys(edgeToWarden).map((name) => [name, never]));
    const open = new Set<Socket>();
    const server = createServer((stream) => {
      open.add(stream);
      new Peer({
        stream,
        serves: edgeToWarden,
        handlers: {
          ...(handlers as Handlers<EdgeToWarden, undefined>),
          'node.hello': async () => ({
            node: 'partner-1',
            plane: 'partner' as const,
            hostKeys: [],
            challenge: '00'.repeat(8),
            epoch: 0,
            banner: '',
          }),
          'lease.renew': async ({ epoch }) => ({ epoch, ended: [], challenge: '00'.repeat(8), drainWithinMs: null }),
          'login.abandon': async () => ({}),
        },
        calls: wardenToEdge,
        door: ownDoor(undefined),
        onClose: () => {},
        onBug: () => {},
      });
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const client = new WardenClient(
      {
        node: 'partner-1' as NodeName,
        limits: config.limits,
        paths: runtimePaths(config),
        log: createLogger({ log: { level: 'error', pretty: false } }, 'test'),
      },
      config.shares.edge.calls,
      {
        terminated: () => {},
        drain: () => {},
        leaving: async () => {},
        leaseChanged: () => {},
        sessionCount: () => 0,
        active: () => ({ active: [], told: () => {} }),
        hasNativeCipher: true,
      },
    );
    t.teardown(() => {
      client.stop();
      for (const socket of open) socket.destroy();
      server.close();
    });
    await client.start(10_000);
    // One session asks four hundred things whose answers wait for their turn; five others ask less.
    const ask = (token: string, number: number): void => {
      for (let i = 0; i < number; i += 1)
        client.call('download.grant', { token, download: randomUUID(), index: i }).catch(() => {});
    };
    ask('a'.repeat(43), 400);
    await new Promise((resolve) => setTimeout(resolve, 200));
    t.equal(stuck, defaultShares.edge.calls.each, 'of one session so many are under way');
    for (const letter of ['b', 'c', 'd', 'e', 'f']) ask(letter.repeat(43), 60);
    await new Promise((resolve) => setTimeout(resolve, 200));
    t.equal(stuck, groupMax(defaultShares.edge.calls, 'sessions'), 'of all sessions together, so many');
    t.same(await client.call('login.abandon', { connection: randomUUID() }), {}, 'a login has its place');
    await new Promise((resolve) => setTimeout(resolve, 2 * config.limits.leaseLostMs));
    t.ok(client.isLeaseLive, 'and the lease is renewed');
  },

  'warden.dialogues': (t) => attackShelf(t, warden.dialogues),
  'warden.sessions': (t) => attackShelf(t, warden.sessions),

  // One plane opens all the objects it may; the other still puts one, and so does the first when it has ended some.
  'store.puts': async (t) => {
    const store = await LoneStore.start(t);
    const partner = await store.connect('p1');
    const internal = await store.connect('i1');
    const max = defaultShares.store.puts.each;
    const begun = Array.from({ length: max }, () => partner.begin(store.ticket('p1').ticket));
    const failed = { kind: 'failed', failure: 'over-limit' } as const;
    t.same(await partner.put(store.ticket('p1').ticket, Buffer.alloc(1000, 1)), failed, `after ${max}, no more`);
    const other = await internal.put(store.ticket('i1').ticket, Buffer.alloc(1000, 2));
    t.equal(other.kind, 'durable', 'the other plane puts');
    t.ok(partner.isOpen);
    for (const put of begun.slice(0, 100)) partner.abort(put);
    // The room is free when the pieces of what was given up are deleted, a moment later.
    const until = performance.now() + roomMs;
    let again = await partner.put(store.ticket('p1').ticket, Buffer.alloc(1000, 3));
    while (again.kind !== 'durable' && performance.now() < until) {
      t.same(again, failed, 'until then it is told');
      await new Promise((resolve) => setTimeout(resolve, 50));
      again = await partner.put(store.ticket('p1').ticket, Buffer.alloc(1000, 3));
    }
    t.equal(again.kind, 'durable', 'who gives up some has room again');
    partner.close();
    internal.close();
  },

  // What one plane has arriving, and what a slow disk has not written: the other plane still has memory for its own.
  'store.pieces': async (t) => {
    const { pieces: share } = defaultShares.store;
    const pieces = new Pieces({ memory: () => Buffer.alloc(1) }, new Slots(share));
    const takeAll = (caller: EdgeCaller): readonly Buffer[] => {
      const memories: Buffer[] = [];
      for (;;) {
        const memory = pieces.take(claimOf(caller), () => {});
        if (memory === undefined) return memories;
        memories.push(memory);
      }
    };
    const [first] = takeAll(thief);
    const nodes = Array.from({ length: share.total }, (_, i) => ({ ...thief, node: `partner-${i + 2}` as NodeName }));
    const counts = nodes.map((node) => takeAll(node).length);
    t.equal(Math.max(...counts), share.each, 'so many of one node');
    t.equal(
      counts.reduce((sum, one) => sum + one, share.each),
      groupMax(share, thief.plane),
      'so many of one plane',
    );
    t.equal(takeAll(honest).length, share.reserve > share.each ? share.each : share.reserve, 'the other has its own');
    pieces.give(first ?? Buffer.alloc(0));
    t.equal(takeAll(thief).length, 1, 'what was given back is there again');
  },
};
