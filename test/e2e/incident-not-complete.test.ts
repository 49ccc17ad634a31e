// An answer that did not see the whole record assures nobody and is no pack, unless an option says that this is meant:
// then the letters and the output say it.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { type Client, connect } from '../../admin-cli/connection/client.ts';
import { incidentAssure } from '../../admin-cli/incident/assure.ts';
import { incidentPack } from '../../admin-cli/incident/pack.ts';
import type { Given } from '../../admin-cli/verb/verb.ts';
import type { IncidentSummary } from '../../server/rpc/operators/incident.ts';
import { startWorld } from '../support/world.ts';

type Change = (summary: IncidentSummary) => IncidentSummary;
const inArchives: Change = (one) => ({ ...one, record: { ...one.record, completeFrom: '2026-03-01T00:00:00.000Z' } });
const frozen: Change = (one) => ({ ...one, record: { ...one.record, frozen: 'the record is behind its witness.' } });
const odd: Change = (one) => ({ ...one, totals: { ...one.totals, oddEntries: 5 } });

/** The same client, for which the answers about an incident were changed. */
const changed = (real: Client, change: Change): Client =>
  new Proxy(real, {
    get(target, name) {
      if (name !== 'call') return Reflect.get(target, name);
      return async (operation: 'incident.progress', params: Parameters<Client['call']>[1]) => {
        const said = await target.call(operation, params as never);
        return operation === 'incident.progress' && said.state === 'done'
          ? { ...said, summary: change(said.summary) }
          : said;
      };
    },
  });

test('months in archives, a frozen record, odd entries', async (t) => {
  const world = await startWorld(t);
  const place = (name: string): string => join(world.directory, name);
  const local = place('deposit.xml');
  writeFileSync(local, randomBytes(1000));
  for (const bank of ['acme', 'globex'])
    t.equal((await world.sftp(bank, [`put ${local} deposit/deposit.xml`])).code, 0);
  t.equal((await world.sftp('processor', [`get acme/deposit/deposit.xml ${place('got')}`])).code, 0);
  const real = await connect({ directory: place('operators/alice'), socket: place('run/admin/admin.sock') });
  t.teardown(() => real.close());
  const given = (verb: string, out: string, more: Given['options'] = {}): Given =>
    ({
      words: ['incident', verb],
      positionals: [],
      options: {
        account: 'processor',
        since: '7d',
        out: place(out),
        ...(verb === 'pack' ? { aware: '1m' } : {}),
        ...more,
      },
      isTerminal: false,
      isJson: false,
      general: {},
      paths: { bootstrapSocket: '', witness: place('witness') },
    }) as unknown as Given;
  const letterOf = (out: string, bank: string, file: string): string => {
    const folder = readdirSync(place(out)).find((one) => one.startsWith(`${bank}_`)) ?? 'none';
    return readFileSync(join(place(out), folder, file), 'utf8');
  };

  for (const verb of [incidentAssure, incidentPack]) {
    const [, name = ''] = verb.words;
    for (const [change, why] of [
      [inArchives, /before 2026-03-01 .* is in archives and was not looked at.*--not-complete/],
      [frozen, /was frozen when it was asked.*the record is behind its witness/],
      [odd, /5 state a count in a form in which our gateway writes none/],
    ] as const) {
      const client = changed(real, change);
      await t.rejects(verb.run(client, given(name, `${name}-refused`)), { code: 'conflict', message: why }, name);
      t.same(readdirSync(place(`${name}-refused`)), [], 'nothing was written');
    }
    const [bank, file] = verb === incidentAssure ? ['globex', 'assurance.md'] : ['acme', 'notice.md'];
    const all = changed(real, (summary) => odd(frozen(inArchives(summary))));
    const meant = await verb.run(all, given(name, `${name}-meant`, { 'not-complete': '' }));
    t.match(meant.text, /^NOT COMPLETE: .*in archives.*\nNOT COMPLETE: .*frozen.*\nNOT COMPLETE: .*5 state a count/m);
    t.match(
      letterOf(`${name}-meant`, bank, file),
      /This is not complete:\n\n- .*archives.*\n- .*frozen.*\n- .*5 state/,
    );
    const twin = await verb.run(real, given(name, `${name}-whole`));
    t.notMatch(twin.text, 'NOT COMPLETE', 'the twin: an answer that saw everything');
    t.notMatch(letterOf(`${name}-whole`, bank, file), 'not complete');
  }
});
