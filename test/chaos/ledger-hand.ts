// Owns: one process of the soak of the record. A `sealer` stands for a whole warden: it has the real Ledger with its
// real witness, seals, writes entries, and misses those of its own that are gone. A `writer` commits entries that
// nobody would miss. Both are killed at any moment. The process reports on standard output what is certain: `begins`
// when a sealer starts, `done HANDLE…` after the commit of entries about these handles, `kept HASH` after the witness
// has a checkpoint, and `frozen TEXT` again and again while it is frozen.
import { createHash, randomInt, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../server/config/config.ts';
import { CofferdamError } from '../../server/domain/errors.ts';
import { type CustomerId, idOf } from '../../server/domain/ids.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { createKeyRing } from '../../server/warden/keys/key-ring.ts';
import { createBirths } from '../../server/warden/ledger/born.ts';
import { record } from '../../server/warden/ledger/entries/record.ts';
import { LedgerGuard } from '../../server/warden/ledger/guard.ts';
import { Ledger } from '../../server/warden/ledger/ledger.ts';
import { createWitnesses } from '../../server/warden/ledger/witness/witnesses.ts';

const [role = '', configFile = '', url = ''] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const customers = ['a', 'b', 'c', 'd'].map((letter) =>
  idOf<CustomerId>(`${letter.repeat(8)}-0000-4000-8000-000000000000`),
);

async function seal(): Promise<void> {
  const config = JSON.parse(readFileSync(configFile, 'utf8')) as Config;
  const guard = new LedgerGuard();
  const witnesses = createWitnesses(config.ledger).map((witness) => ({
    name: witness.name,
    isRequired: witness.isRequired,
    newest: witness.newest,
    keep: async (note: string): Promise<void> => {
      await witness.keep(note);
      say(`kept ${createHash('sha256').update(note).digest('hex')}`);
    },
  }));
  say('begins');
  const births = createBirths(config.limits);
  const ledger = new Ledger({
    config,
    url,
    keys: createKeyRing(config),
    guard,
    births,
    witnesses,
    log: createLogger(config, 'sealer'),
  });
  await ledger.start();
  const database = new Database({ url, applicationName: 'warden', connectionsMax: 1, drafts: () => births.begin() });
  void write(database, 'warden', () => guard.state.is === 'open');
  for (;;) {
    if (guard.state.is === 'closed' && guard.state.why === 'frozen') say(`frozen ${guard.state.text}`);
    await sleep(20);
  }
}

/**
 * Commits one to four entries at a time while `isServed` says so, for ever. `by` is who closed the download, as the
 * entries say it.
 */
async function write(database: Database, by: 'client' | 'warden', isServed: () => boolean): Promise<void> {
  for (;;) {
    if (!isServed()) {
      await sleep(20);
      continue;
    }
    const handles = Array.from({ length: randomInt(1, 5) }, () => randomUUID());
    try {
      await database.withSystem(async (tx) => {
        for (const handle of handles) {
          const customer = customers[randomInt(customers.length + 1)];
          await record(tx, {
            kind: 'download.closed',
            observer: 'edge',
            customer: customer ?? null,
            handle,
            bytes: randomInt(1_000_000),
            public: { by },
          });
        }
      });
      say(`done ${handles.join(' ')}`);
      await sleep(by === 'client' ? randomInt(10, 40) : randomInt(30, 120));
    } catch {
      // The outcome is unknown: they may be on the record or not. Others follow.
      await sleep(50);
    }
  }
}

// A sealer that cannot reach the database or its witness when it starts ends, and `LedgerScene` starts it again.
await (role === 'sealer'
  ? seal()
  : write(new Database({ url, applicationName: 'writer', connectionsMax: 1 }), 'client', () => true)
).catch((error: unknown) => {
  if (!(error instanceof CofferdamError && error.code === 'unavailable'))
    process.stderr.write(`${role}: ${String(error)}\n`);
  process.exitCode = 1;
});
process.exit();
