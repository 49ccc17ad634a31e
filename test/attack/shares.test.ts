// T-35, T-38: the table of shares, line by line: a node or a person takes all it can get. It is bounded, and the other
// plane, or a security officer, continues.
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { type Test, test } from 'tap';
import { connect as connectOperator } from '../../admin-cli/connection/client.ts';
import { type Config, runtimePaths } from '../../server/config/config.ts';
import { defaultShares, linesOf } from '../../server/config/shares.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { attempt, connectAs, type EdgePeer, hashOf, transcript, UserKey } from '../support/impostor.ts';
import { knock, type Shown, Visitor } from '../support/operator.ts';
import { addOperator } from '../support/operators.ts';
import { attacksOnOurselves } from '../support/share-attacks.ts';
import { startWorld, type World } from '../support/world.ts';
import { flood } from '../support/wrong-forms.ts';

/**
 * Answers come within hundredths of a second. The limit is ten times that, and as much again for a machine that does
 * other things.
 */
const soonMs = 5000;
/** Lines that are attacked by their number: with fewer places the same happens sooner. */
const few = {
  warden: {
    logins: { total: 60, each: 20, reserve: 20 },
    identifiers: { total: 300, each: 100, reserve: 100 },
    signatures: { total: 1800, each: 600, reserve: 600 },
  },
};

/** The same for the allowances. */
const perNode = { strangerHashes: { atOnce: 8, perMinute: 6 }, rekeys: { atOnce: 200, perMinute: 60 } };

type Edge = { readonly peer: EdgePeer; readonly startId: string; readonly challenge: string; readonly token: string };
type Person = { readonly directory: string; readonly shown: Shown };
type Scene = {
  readonly world: World;
  readonly socketOf: (node: string) => string;
  readonly adminSocket: string;
  /** Replaced when its connection was. */
  thief: Edge;
  readonly honest: Edge;
  readonly viewer: Person;
  readonly officer: Person;
  /** The database as its owner sees it. */
  readonly sql: pg.Client;
};

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: unknown) => (error instanceof CofferdamError ? error.code : String(error)),
  );
const count = (codes: readonly string[], code: string): number => codes.filter((one) => one === code).length;

async function soon<T>(t: Test, what: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  const tookMs = Math.round(performance.now() - started);
  t.ok(tookMs < soonMs, `${what}: ${tookMs} ms`);
  return result;
}

async function greet(world: World, path: string, account: string): Promise<Edge> {
  const peer = connectAs(path);
  const startId = randomUUID();
  const { challenge } = await peer.call('node.hello', { protocol: 1, startId });
  const key = new UserKey();
  if ((await world.cofferctl(['key', 'add', account, '--file', '-'], key.line)).code !== 0) throw new Error('no key');
  const exchange = transcript(challenge);
  const signed = await peer.call('exchange.sign', exchange);
  const login = await attempt(peer, exchange.connection, account, key.evidence(account, hashOf(exchange, signed)));
  if (login.outcome !== 'accepted') throw new Error(`no session: ${login.outcome}`);
  return { peer, startId, challenge, token: login.session.token };
}

const askedNothing = async ({ peer, challenge }: Edge): Promise<string> => {
  const exchange = transcript(challenge);
  await peer.call('exchange.sign', exchange);
  const { outcome } = await attempt(peer, exchange.connection, 'acme-batch', { type: 'none' });
  await peer.call('login.abandon', { connection: exchange.connection });
  return outcome;
};

/** What the other plane does all day. */
async function othersGoOn(t: Test, { honest, world }: Scene): Promise<void> {
  await soon(t, "the other plane's lease", () =>
    honest.peer.call('lease.renew', { sessions: 1, epoch: 0, active: [] }),
  );
  await soon(t, 'its files', () => honest.peer.call('tree.stat', { token: honest.token, path: ['acme'] }));
  t.equal(await soon(t, 'its logins', () => askedNothing(honest)), 'refused');
  const { wardenAnswersMs } = await world.cofferctlJson<{ readonly wardenAnswersMs: number | null }>(['status']);
  t.ok(wardenAnswersMs !== null && wardenAnswersMs < soonMs, `and operators' commands: ${wardenAnswersMs} ms`);
}

/** The other plane's edge renews its lease four times a second, as an edge does, as long as `work` lasts. */
async function whileRenewing<T>(t: Test, { honest }: Scene, what: string, work: () => Promise<T>): Promise<T> {
  const took: number[] = [];
  let isOver = false;
  const renewing = (async () => {
    while (!isOver) {
      const started = performance.now();
      await honest.peer.call('lease.renew', { sessions: 1, epoch: 0, active: [] });
      took.push(Math.round(performance.now() - started));
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  })();
  try {
    return await work();
  } finally {
    isOver = true;
    await renewing;
    const sorted = took.sort((a, b) => a - b);
    const slowest = sorted.at(-1) ?? Number.NaN;
    t.ok(
      slowest < soonMs,
      `${what}: ${took.length} leases of the other plane, the median ${sorted[took.length >> 1]} ms, the slowest ${slowest} ms`,
    );
  }
}

const idle = (path: string, number: number): Promise<{ readonly sockets: readonly Socket[]; open(): number }> => {
  const sockets = Array.from({ length: number }, () => connect(path).on('error', () => {}));
  return new Promise((resolve) =>
    setTimeout(
      () =>
        resolve({ sockets, open: () => sockets.filter((one) => !one.destroyed && one.readyState === 'open').length }),
      500,
    ),
  );
};

/** Somebody's transaction holds what the attacker asks for, until `work` is over. */
async function whileLocked(sql: pg.Client, lock: string, work: () => Promise<void>): Promise<void> {
  await sql.query('begin');
  await sql.query(lock);
  try {
    await work();
  } finally {
    await sql.query('rollback');
  }
}

async function waitingForLocks(sql: pg.Client, application: string): Promise<number> {
  const { rows } = await sql.query(
    "select count(*)::int as n from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'",
    [application],
  );
  return rows[0].n as number;
}

const visit = async (scene: Scene, { shown }: Person, number: number): Promise<readonly Visitor[]> => {
  const visitors = Array.from({ length: number }, () => new Visitor(scene.adminSocket, shown));
  for (const visitor of visitors) visitor.socket.setMaxListeners(200);
  return visitors;
};
const operatorOf = ({ adminSocket }: Scene, { directory }: Person): ReturnType<typeof connectOperator> =>
  connectOperator({ directory, socket: adminSocket });

const attacks: Readonly<Record<string, (t: Test, scene: Scene) => Promise<void>>> = {
  'warden.connections': async (t, scene) => {
    const { sockets, open } = await idle(scene.socketOf('partner-1'), 12);
    t.ok(open() <= defaultShares.warden.connections.each, `${open()} of 12 stay open`);
    await othersGoOn(t, scene);
    for (const socket of sockets) socket.destroy();
    // A newer connection of a node replaces the one before.
    const peer = connectAs(scene.socketOf('partner-1'));
    await peer.call('node.hello', { protocol: 1, startId: scene.thief.startId });
    scene.thief.peer.close();
    scene.thief = { ...scene.thief, peer };
  },

  'warden.faults': async (t, scene) => {
    const { each } = defaultShares.warden.faults;
    const { peer, token } = scene.thief;
    t.equal(await codeOf(peer.call('tree.stat', { token } as never)), 'invalid', 'one slip is answered');
    t.equal(await codeOf(peer.call('tree.stat', { token, path: ['deposit'] })), 'ok', 'and the next call is served');
    const before = scene.world.log.length;
    const wrong: readonly (readonly [string, unknown])[] = [
      ['calls of a wrong form', { id: 1, op: 'tree.stat', params: {} }],
      [
        'renewals of a wrong form',
        { id: 1, op: 'lease.renew', params: { sessions: 0, epoch: 0, active: Array(900).fill({ session: 'x' }) } },
      ],
      ['answers to nobody', { id: 1_000_000, result: {} }],
    ];
    for (const [what, message] of wrong) {
      const open = () => {
        const stream = connect(scene.socketOf('partner-1'));
        return { stream, ready: new Promise((resolve) => stream.once('connect', resolve)) };
      };
      const seen = await whileRenewing(t, scene, what, () => flood(open, message, 2000));
      t.ok(
        seen.ended > 0 && seen.ended >= seen.connections - 1,
        `${what}: ${seen.ended} of ${seen.connections} connections were ended`,
      );
      t.ok(seen.answers <= each + seen.connections, `${seen.answers} answers: ${seen.words.join('; ')}`);
    }
    t.ok(await scene.world.logged(/"node":"partner-1"[^\n]*malformed message/, before), 'the log says who it was');
    await othersGoOn(t, scene);
    scene.thief.peer.close();
    scene.thief = await greet(scene.world, scene.socketOf('partner-1'), 'acme-batch');
  },

  'warden.transactions': async (t, scene) => {
    const { thief, sql } = scene;
    const flood: Promise<string>[] = [];
    const open = (): Promise<unknown> =>
      thief.peer.call('upload.open', {
        token: thief.token,
        path: ['deposit', 'wanted'],
        continue: true,
        exclusive: false,
      });
    await open();
    await whileLocked(sql, 'select 1 from file for update', async () => {
      for (let i = 0; i < 250; i += 1) flood.push(codeOf(open()));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const waiting = await waitingForLocks(sql, 'cofferdam warden');
      t.ok(waiting > 0 && waiting <= defaultShares.warden.transactions.each, `${waiting} connections wait for one row`);
      await othersGoOn(t, scene);
      t.equal(await Promise.race(flood), 'unavailable', 'whoever waits too long for a lock is told');
    });
    await Promise.all(flood);
    t.equal(
      await codeOf(thief.peer.call('tree.stat', { token: thief.token, path: ['deposit'] })),
      'ok',
      'and is served again',
    );
  },
  'warden.passes': async (t, scene) => attacks['warden.transactions']?.(t, scene),

  'warden.leases': async (t, { thief, honest }) => {
    const flood = Array.from({ length: 200 }, () =>
      codeOf(thief.peer.call('lease.renew', { sessions: 1, epoch: 0, active: [] })),
    );
    await soon(t, "the other plane's lease", () =>
      honest.peer.call('lease.renew', { sessions: 1, epoch: 0, active: [] }),
    );
    const codes = await Promise.all(flood);
    t.ok(count(codes, 'over-limit') > 0, 'more at once than one node needs is refused');
    t.ok(count(codes, 'ok') > 0);
  },

  'warden.greetings': async (t, { thief, honest }) => {
    const flood = Array.from({ length: 60 }, () =>
      codeOf(thief.peer.call('node.hello', { protocol: 1, startId: thief.startId })),
    );
    await soon(t, "the other plane's lease", () =>
      honest.peer.call('lease.renew', { sessions: 1, epoch: 0, active: [] }),
    );
    const codes = await Promise.all(flood);
    t.ok(count(codes, 'over-limit') > 0);
    t.ok(count(codes, 'ok') > 0);
  },

  'warden.logins': async (t, scene) => {
    const { peer, challenge } = scene.thief;
    const codes: string[] = [];
    const connections: string[] = [];
    for (let i = 0; i < few.warden.logins.each + 5; i += 1) {
      const exchange = transcript(challenge);
      connections.push(exchange.connection);
      await peer.call('exchange.sign', exchange);
      codes.push(await codeOf(attempt(peer, exchange.connection, 'acme-batch', { type: 'none' })));
    }
    t.same(codes.slice(-5), Array(5).fill('over-limit'), 'the table of logins has a bound for one node');
    t.equal(count(codes, 'ok'), few.warden.logins.each);
    await othersGoOn(t, scene);
    for (const connection of connections) await peer.call('login.abandon', { connection });
    t.equal(await askedNothing(scene.thief), 'refused', 'what was abandoned makes room');
  },

  'warden.identifiers': async (t, scene) => {
    const { peer, challenge } = scene.thief;
    const exchanges = Array.from({ length: few.warden.identifiers.each + 10 }, () => transcript(challenge));
    const codes = await Promise.all(exchanges.map((exchange) => codeOf(peer.call('exchange.sign', exchange))));
    t.ok(count(codes, 'over-limit') >= 10);
    await othersGoOn(t, scene);
    for (const { connection } of exchanges) await peer.call('login.abandon', { connection });
    t.equal(await askedNothing(scene.thief), 'refused');
  },

  'warden.signatures': async (t, scene) => {
    const { peer, challenge } = scene.thief;
    const codes: string[] = [];
    // Abandoned at once, so that the session identifiers are not what runs out.
    for (let i = 0; i < few.warden.signatures.each + 10; i += 1) {
      const exchange = transcript(challenge);
      codes.push(await codeOf(peer.call('exchange.sign', exchange)));
      await peer.call('login.abandon', { connection: exchange.connection });
    }
    t.ok(count(codes, 'over-limit') >= 10);
    await othersGoOn(t, scene);
  },

  'admin.handshakes': async (t, scene) => {
    const { sockets, open } = await idle(scene.adminSocket, 200);
    t.ok(open() <= defaultShares.admin.handshakes.total, `${open()} of 200 that say nothing stay`);
    t.match(await soon(t, 'an officer', () => knock(scene.adminSocket, scene.officer.shown)), /^answered/);
    for (const socket of sockets) socket.destroy();
  },

  'admin.connections': async (t, scene) => {
    const visitors = await visit(scene, scene.viewer, 64);
    const answers = await Promise.all(visitors.map((one) => one.whoami()));
    t.equal(answers.filter((one) => one.startsWith('answered')).length, defaultShares.admin.connections.each);
    t.match(
      answers.find((one) => !one.startsWith('answered')),
      /^over-limit: too many connections at once: one person may have 8/,
      'in honest words',
    );
    t.match(await soon(t, 'an officer', () => knock(scene.adminSocket, scene.officer.shown)), /^answered/);
    for (const visitor of visitors) visitor.close();
    await Promise.all(visitors.map((one) => one.closed));
    await new Promise((resolve) => setTimeout(resolve, 500));
    t.match(await knock(scene.adminSocket, scene.viewer.shown), /^answered/, 'who leaves makes room');
  },

  'admin.faults': async (t, scene) => {
    const { each } = defaultShares.admin.faults;
    const typist = new Visitor(scene.adminSocket, scene.officer.shown);
    t.match(
      await typist.ask('session.end', { session: '1', reason: 'x' }),
      /^invalid: .*session: /,
      "an officer's slip is told, by its name",
    );
    t.match(await typist.whoami(), /^answered/, 'and the next call is served');
    t.match(
      await typist.askRaw('whoami', `${'['.repeat(50_000)}${']'.repeat(50_000)}`),
      /^invalid: /,
      'what is nested beyond all bounds is a wrong form',
    );
    t.match(
      await typist.ask('session.end', { session: 'a\u0000\ud800', reason: 'x' }),
      /^invalid: /,
      'and what no database holds',
    );
    t.match(
      await typist.ask('session.end', { 'a\u0000\ud800': { 'b\u0000': 1 } }),
      /^invalid: /,
      'also as the name of a property',
    );
    t.match(
      await typist.ask('session.end', { session: '1', reason: '\u{1f600}'.repeat(3000) }),
      /^invalid: /,
      'a long text is cut for the record, and may be cut in the middle of a character',
    );
    t.match(await typist.whoami(), /^answered/);
    typist.close();
    const before = scene.world.log.length;
    const open = () => {
      const { socket: stream } = new Visitor(scene.adminSocket, scene.viewer.shown);
      return { stream, ready: new Promise((resolve) => stream.once('secureConnect', resolve)) };
    };
    const [seen] = await Promise.all([
      flood(open, { id: 1, op: 'file.list', params: {} }, 3000),
      soon(t, 'an officer', () => knock(scene.adminSocket, scene.officer.shown)),
    ]);
    t.ok(
      seen.ended > 0 && seen.ended >= seen.connections - 1,
      `${seen.ended} of ${seen.connections} connections were ended`,
    );
    t.ok(seen.answers <= each + seen.connections, `${seen.answers} answers: ${seen.words.join('; ')}`);
    t.match(await soon(t, 'an officer afterwards', () => knock(scene.adminSocket, scene.officer.shown)), /^answered/);
    t.match(
      await knock(scene.adminSocket, scene.viewer.shown),
      /^answered/,
      'what the viewer asks in its right form is answered',
    );
    t.ok(await scene.world.logged(/"operator":"vera"[^\n]*malformed message/, before), 'the log says who it was');
    const { rows } = await scene.sql.query(
      "select count(*)::int as n from ledger where kind = 'operator.asked' and operator = 'vera' and sensitive ->> 'operation' = 'file.list'",
    );
    const entries = rows[0].n as number;
    const atOnce = defaultShares.admin.calls.each;
    t.ok(entries > 0 && entries <= each + 2 * atOnce * seen.connections, `and the record, ${entries} times`);
  },

  'admin.transactions': async (t, scene) => {
    const clients = await Promise.all([operatorOf(scene, scene.viewer), operatorOf(scene, scene.viewer)]);
    const flood: Promise<string>[] = [];
    await whileLocked(scene.sql, 'lock table alert in access exclusive mode', async () => {
      for (const client of clients) for (let i = 0; i < 20; i += 1) flood.push(codeOf(client.call('alert.list', {})));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const waiting = await waitingForLocks(scene.sql, 'cofferdam admin');
      t.ok(
        waiting > 0 && waiting <= defaultShares.admin.transactions.each,
        `${waiting} connections of one person wait`,
      );
      t.match(await soon(t, 'an officer', () => knock(scene.adminSocket, scene.officer.shown)), /^answered/);
    });
    t.equal(count(await Promise.all(flood), 'ok'), 40, 'and each is answered in the end');
    for (const client of clients) client.close();
  },

  'admin.searches': async (t, scene) => {
    const [viewer, officer] = [await operatorOf(scene, scene.viewer), await operatorOf(scene, scene.officer)];
    const search = { filter: {}, before: null, limit: 100 } as const;
    const flood = Array.from({ length: 240 }, () => codeOf(viewer.call('ledger.search', search)));
    await soon(t, "an officer's search", () => officer.call('ledger.search', search));
    await soon(t, "an officer's status", () => officer.call('status', {}));
    const codes = await Promise.all(flood);
    t.ok(count(codes, 'over-limit') > 0);
    t.ok(count(codes, 'ok') > 0);
    for (const client of [viewer, officer]) client.close();
  },

  'admin.commands': async (t, scene) => {
    const [viewer, officer] = [await operatorOf(scene, scene.viewer), await operatorOf(scene, scene.officer)];
    const warden = scene.world.pidsOf('warden');
    for (const pid of warden) process.kill(pid, 'SIGSTOP');
    const flood = Array.from({ length: 10 }, () => codeOf(viewer.call('status', {})));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    for (const pid of warden) process.kill(pid, 'SIGCONT');
    const { wardenAnswersMs } = await soon(t, "an officer's command", () => officer.call('status', {}));
    t.not(wardenAnswersMs, null);
    const codes = await Promise.all(flood);
    t.equal(
      count(codes, 'over-limit'),
      10 - defaultShares.admin.commands.each,
      'and it is not said that the warden is silent',
    );
    for (const client of [viewer, officer]) client.close();
  },

  'admin.answers': async (t, scene) => {
    const [viewer, officer] = [await operatorOf(scene, scene.viewer), await operatorOf(scene, scene.officer)];
    const ask = { selection: { account: 'acme-batch' }, unread: false };
    const { scope } = await officer.call('incident.scope', ask);
    const scopes: string[] = [];
    let refused = 0;
    for (let i = 0; i < 8; i += 1)
      await viewer.call('incident.scope', ask).then(
        (asked) => scopes.push(asked.scope),
        (error: unknown) => {
          t.match(error, { code: 'over-limit', message: /too many answers kept/ });
          refused += 1;
        },
      );
    const kept = await Promise.all(scopes.map((one) => codeOf(viewer.call('incident.progress', { scope: one }))));
    t.ok(count(kept, 'ok') <= defaultShares.admin.answers.each, 'one person keeps so many answers, and no more');
    t.equal(
      scopes.length + refused,
      8,
      `${refused} were refused in words, ${count(kept, 'not-found')} made room for his own`,
    );
    const now = await soon(t, "an officer's answer", () =>
      officer.call('incident.progress', { scope, waitMs: 20_000 }),
    );
    t.equal(now.state, 'done', 'is still there');
    for (const client of [viewer, officer]) client.close();
  },
  'admin.questions': async (t, scene) => attacks['admin.answers']?.(t, scene),

  'admin.verifications': async (t, scene) => {
    const [viewer, officer] = [await operatorOf(scene, scene.viewer), await operatorOf(scene, scene.officer)];
    const { verifierKeys: keys } = await officer.call('ledger.show', { number: 1 });
    const wish = { keys: [...keys], notes: [], maxAgeSeconds: 0 };
    const { verification } = await officer.call('ledger.verify', wish);
    const asked = await Promise.allSettled(
      [1, 2, 3].map(async () => (await viewer.call('ledger.verify', wish)).verification),
    );
    const taken = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const kept = await Promise.all(
      taken.map((verification) => codeOf(viewer.call('ledger.verification', { verification }))),
    );
    t.ok(taken.length > 0, 'one is served');
    t.ok(count(kept, 'ok') <= defaultShares.admin.verifications.each, 'one person keeps so many, and no more');
    t.equal(await codeOf(officer.call('ledger.verification', { verification })), 'ok', "the officer's is still there");
    for (const client of [viewer, officer]) client.close();
  },

  'admin.calls': async (t, scene) => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => operatorOf(scene, scene.viewer)));
    const tail = { filter: {}, after: 1_000_000_000 };
    const codes = clients.flatMap((client) =>
      Array.from({ length: 32 }, () => codeOf(client.call('ledger.tail', tail))),
    );
    const { each, waiting } = defaultShares.admin.calls;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    t.match(await soon(t, 'an officer', () => knock(scene.adminSocket, scene.officer.shown)), /^answered/);
    for (const client of clients) client.close();
    t.ok(
      count(await Promise.all(codes), 'over-limit') >= 4 * 32 - each - waiting,
      'beyond what one person may ask at once',
    );
  },
};

/** Work for the warden that no line counts, but allowances of its node: how it affects the other plane's leases. */
const floods: Readonly<Record<string, (t: Test, scene: Scene, until: number) => Promise<void>>> = {
  'passwords of nobody': async (t, { thief: { peer, challenge }, sql }, until) => {
    const outcomes: string[] = [];
    const guess = async (): Promise<void> => {
      while (performance.now() < until) {
        const [a = 0, b = 0, c = 0] = randomBytes(3);
        const source = { address: `${1 + (a % 200)}.${b}.${c}.1`, port: 1 };
        const exchange = transcript(challenge, { source });
        if ((await codeOf(peer.call('exchange.sign', exchange))) !== 'ok') continue;
        const { connection } = exchange;
        const evidence = { type: 'password', password: randomBytes(9).toString('base64') } as const;
        const username = `u${randomBytes(5).toString('hex')}`;
        outcomes.push(await codeOf(peer.call('login.attempt', { connection, source, username, evidence })));
        await peer.call('login.abandon', { connection });
      }
    };
    await Promise.all(Array.from({ length: 15 }, guess));
    t.ok(count(outcomes, 'ok') > perNode.strangerHashes.atOnce, `${outcomes.length} guesses`);
    const { rows } = await sql.query("select severity from alert where subject = 'partner-1/strangerHashes'");
    t.same(rows, [{ severity: 'warning' }], 'of which so many were hashed as a node may ask for, and an alarm says so');
  },
  'key exchanges': async (t, { thief: { peer, challenge } }, until) => {
    const clientKexInit = Buffer.concat([Buffer.of(20), randomBytes(16_000)]).toString('base64');
    const codes: string[] = [];
    const ask = async (): Promise<void> => {
      while (performance.now() < until)
        codes.push(await codeOf(peer.call('exchange.sign', transcript(challenge, { isFirst: false, clientKexInit }))));
    };
    await Promise.all(Array.from({ length: 50 }, ask));
    t.ok(
      count(codes, 'ok') <= perNode.rekeys.atOnce + perNode.rekeys.perMinute,
      `${count(codes, 'ok')} of ${codes.length} were signed`,
    );
  },
};

test('every line of the table has an attack, and every attack has a line', async (t) => {
  t.same(
    [...Object.keys(attacks), ...Object.keys(attacksOnOurselves)].sort(),
    linesOf(defaultShares)
      .map(([name]) => name)
      .sort(),
  );
});

for (const [name, attack] of Object.entries(attacksOnOurselves)) test(name, attack);

async function sceneOf(t: Test, shares: object): Promise<Scene> {
  const world = await startWorld(t, {
    env: { COFFERDAM_SHARES: JSON.stringify(shares), COFFERDAM_PER_NODE: JSON.stringify(perNode) },
  });
  const paths = runtimePaths(JSON.parse(readFileSync(join(world.directory, 'run', 'config.json'), 'utf8')) as Config);
  const viewerDirectory = await addOperator(world, 'vera', 'viewer');
  const person = (directory: string): Person => ({
    directory,
    shown: {
      cert: readFileSync(join(directory, 'cert.pem'), 'utf8'),
      key: readFileSync(join(directory, 'key.pem'), 'utf8'),
    },
  });
  const still = [...world.pidsOf('partner-1'), ...world.pidsOf('internal-1')];
  for (const pid of still) process.kill(pid, 'SIGSTOP');
  const sql = new pg.Client({ connectionString: world.databaseUrl });
  await sql.connect();
  const thief = await greet(world, paths.wardenSocket('partner-1'), 'acme-batch');
  const honest = await greet(world, paths.wardenSocket('internal-1'), 'processor');
  t.teardown(async () => {
    scene.thief.peer.close();
    honest.peer.close();
    await sql.end();
    for (const pid of still) process.kill(pid, 'SIGCONT');
  });
  const scene: Scene = {
    world,
    socketOf: paths.wardenSocket,
    adminSocket: paths.adminSocket,
    thief,
    honest,
    viewer: person(viewerDirectory),
    officer: person(join(world.directory, 'operators', 'alice')),
    sql,
  };
  return scene;
}

test('floods of one node delay no lease of the other plane', async (t) => {
  const scene = await sceneOf(t, {});
  for (const [what, strike] of Object.entries(floods))
    await t.test(what, (sub) => whileRenewing(sub, scene, what, () => strike(sub, scene, performance.now() + 5000)));
});

test('the attacks on every line, at a whole gateway', async (t) => {
  const scene = await sceneOf(t, few);
  const { world, sql } = scene;
  for (const [name, attack] of Object.entries(attacks)) await t.test(name, (sub) => attack(sub, scene));

  // Where nobody has shown a certificate yet, none was refused.
  const full = createServer((socket) => void socket.destroy());
  const place = join(world.directory, 'full.sock');
  await new Promise<void>((resolve) => full.listen(place, resolve));
  const turned = await world.cofferctlAlone(['whoami', '--socket', place]);
  full.close();
  t.equal(turned.code, 7);
  t.match(turned.err, /ended the connection before either side had shown a certificate/);
  t.notMatch(turned.err, /refused this certificate/);

  // Text that is quoted from anybody steers no terminal, and a flood of text does not fill the record.
  const odd = `x${String.fromCharCode(27)}[2J${'y'.repeat(20)}`;
  const shown = await world.cofferctl(['customer', 'show', odd]);
  t.not(shown.code, 0);
  t.notMatch(shown.err, /\p{Cc}(?<!\n)/u, 'no control character');
  const viewer = await operatorOf(scene, scene.viewer);
  const indicators = Array.from({ length: 200 }, () => ({
    type: 'sha256' as const,
    value: randomBytes(32).toString('hex'),
  }));
  await codeOf(viewer.call('incident.hunt', { indicators } as never));
  viewer.close();
  t.ok(existsSync(scene.adminSocket));
  const { rows } = await sql.query(
    "select max(length(sensitive::text))::int as n from ledger_fresh where kind = 'operator.asked'",
  );
  t.ok((rows[0].n as number | null) === null || rows[0].n < 8192, 'what is kept of a question is cut');
});
