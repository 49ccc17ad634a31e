// What an edge says that a session moved is what a wire can carry in its time: more than that, in either direction, is
// an alert about the edge.
import { test } from 'tap';
import type { OpenSession } from '../../server/warden/sessions/open-session.ts';
import { SessionRegistry } from '../../server/warden/sessions/sessions.ts';
import { Bank } from '../support/bank.ts';
import { Shelf } from '../support/shelf.ts';

const beyond = 2 ** 50;

test('impossible numbers of bytes in one direction alone are an alarm, and are not recorded as they are said', async (t) => {
  const { sql, warden, config } = await Shelf.create(t);
  const bank = await Bank.create({ sql, warden: warden.database }, 'globex', 1000);
  const { session: first, account, credential } = await bank.addReader();
  const registry = new SessionRegistry(
    config,
    warden.database,
    undefined as never,
    { terminate: () => {} } as never,
    warden.log,
  );
  const node = 'n';
  /** Ends a session with these numbers. Returns the alerts since the last look, and what was recorded. */
  const close = async (session: string, bytesIn: number, bytesOut: number) => {
    await sql.query("update session set started_at = clock_timestamp() - interval '1 hour' where id = $1", [session]);
    await registry.close({ id: session, node } as OpenSession, 'client-closed', bytesIn, bytesOut);
    const alarms = await sql.query("delete from alert where kind = 'edge.impossible-word' returning subject");
    const [moved] = await sql.query<{ in: number; out: number }>(
      'select bytes_in as in, bytes_out as out from session where id = $1',
      [session],
    );
    return { alarms, in: Number(moved?.in), out: Number(moved?.out) };
  };
  t.same(await close(first, 1000, 2000), { alarms: [], in: 1000, out: 2000 }, 'the twin: possible in an hour');
  for (const [what, bytesIn, bytesOut] of [
    ['in', beyond, 7],
    ['out', 7, beyond],
    ['both', beyond, beyond],
  ] as const) {
    const { session } = await bank.addSession(account, credential);
    const { alarms, ...moved } = await close(session, bytesIn, bytesOut);
    t.same(alarms, [{ subject: node }], what);
    for (const [said, kept] of [
      [bytesIn, moved.in],
      [bytesOut, moved.out],
    ] as const)
      t.ok(said === beyond ? kept < beyond && kept > 7 : kept === said, `${what}: ${said} is kept as ${kept}`);
  }
});
