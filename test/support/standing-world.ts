// Owns: a sealed record with two witnesses and archives, and a verifier that stands for one on another host.
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { boundOf } from '../../server/admin/ledger/dump-queries.ts';
import { originOf } from '../../server/domain/ledger/checkpoint.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { Database } from '../../server/postgres/database.ts';
import { withCredentials } from '../../server/postgres/role-url.ts';
import { Memory } from '../../server/verify/memory.ts';
import type { VerifySettings } from '../../server/verify/settings.ts';
import { type Verdict, verifyOnce } from '../../server/verify/verify.ts';
import { checkpointSigner } from '../../server/warden/keys/checkpoint-signer.ts';
import { archiveDue } from '../../server/warden/ledger/archive.ts';
import { Sealer } from '../../server/warden/ledger/sealer.ts';
import { createTestDatabase, type Teardown, temporaryDirectory, testPasswords } from './database.ts';
import { longAgo, sealLongAgo, witnessAll } from './long-ago.ts';
import { writeEntries } from './record.ts';

const quiet = createLogger({ log: { level: 'fatal' as 'error', pretty: false } }, 'warden');

export const customers = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'] as const;

/** Everything is due: the run after this one would come too late. */
export const due = { fullEveryHours: 1, everyMinutes: 60 };

export async function standingWorld(t: Teardown) {
  const sql = await createTestDatabase(t);
  const directory = temporaryDirectory(t);
  const warden = new Database({ url: sql.wardenUrl, applicationName: 'test', connectionsMax: 2 });
  const databaseUrl = withCredentials(sql.migrateUrl, 'cofferdam_auditor', testPasswords.auditor);
  const auditor = new Database({ url: databaseUrl, applicationName: 'test', connectionsMax: 1 });
  t.teardown(() => Promise.all([warden.close(), auditor.close()]).then(() => {}));
  const origin = originOf('6b0f9a52-97a5-4c7b-9f4e-0d1f4d9b8a11');
  const signer = checkpointSigner(generateKeyPairSync('ed25519').privateKey, origin);
  const signing = { signer, origin };
  const witnesses = [join(directory, 'witness'), join(directory, 'second')];
  for (const one of witnesses) mkdirSync(one);
  const archive = join(directory, 'archive');
  mkdirSync(archive);
  const fileIn = (witness: number, day: string): string => join(witnesses[witness] ?? '', `checkpoints-${day}.jsonl`);
  /** Hands a note to the witnesses with these numbers. */
  const give = (note: string, to: readonly number[] = [0, 1]): void => {
    for (const witness of to)
      appendFileSync(fileIn(witness, signer.open(note).time.slice(0, 10)), `${JSON.stringify(note)}\n`);
  };
  const seal = async ({
    to = [0, 1],
    isEpochAsked = false,
  }: {
    to?: readonly number[];
    isEpochAsked?: boolean;
  } = {}): Promise<string> => {
    // An epoch that is asked for begins some seconds after the last one: here they count as passed.
    const now = Date.now() + (isEpochAsked ? 10_000 : 0);
    const round = await new Sealer(warden, quiet).round(signing, { isSignDue: true, isEpochAsked, now });
    if (round === undefined) throw new Error('there was nothing to seal');
    give(round.note, to);
    return round.note;
  };
  const settings: VerifySettings = {
    databaseUrl,
    keys: [signer.verifierKey],
    witnesses,
    archive,
    maxAgeSeconds: 600,
    everyMinutes: 1,
    fullEveryHours: 24,
    state: join(directory, 'state'),
  };
  return {
    sql,
    directory,
    warden,
    auditor,
    signing,
    witnesses,
    settings,
    fileIn,
    give,
    seal,
    /** Entries of a customer (null: of no customer), sealed and witnessed. */
    write: async (customer: string | null, count: number, to: readonly number[] = [0, 1]): Promise<string> => {
      await writeEntries(sql, customer, count);
      return seal({ to });
    },
    /** This many entries of two customers and of no customer, written and sealed this many months ago. */
    old: async (months: number, entries: number): Promise<void> => {
      await sql.query(
        `insert into ledger_fresh (at, kind, observer, customer_id, sensitive) select ${longAgo()} + i * interval '1 second', 'file.published', 'warden',
           case i % 3 when 0 then null else ($3::uuid[])[i % 3] end, '{}' from generate_series(1, $2::int) i`,
        [months, entries, customers],
      );
      for (const { note } of await sealLongAgo(warden, sql, signing, months)) give(note);
    },
    /** As the leading warden does: months that are due are written, stated, sealed, witnessed and dropped. */
    archiveMonths: async (onlineMonths = 2): Promise<void> => {
      const config = { archiveDirectory: archive, onlineMonths, retentionMonths: 60, forwards: [] };
      for (let passes = 0; passes < 3; passes += 1) {
        await archiveDue({ config, database: warden, log: quiet });
        await seal();
        await witnessAll(sql);
      }
    },
    /** What the owner of the database can do: rows change without any trigger. */
    tamper: async (...statements: readonly string[]): Promise<void> => {
      await sql.query(`do $do$ begin set local session_replication_role = replica; ${statements.join('; ')}; end $do$`);
    },
    /**
     * One run, as by a process that is started for it: what is known is in the file. `meanwhile` runs each time after
     * the archives were listed, and before anything of the record is read.
     */
    run: (more: Partial<VerifySettings> = {}, meanwhile: () => Promise<void> = async () => {}): Promise<Verdict> => {
      const given = { ...settings, ...more };
      const withSystem: Database['withSystem'] = async (work) => {
        if ((work as unknown) === boundOf) await meanwhile();
        return auditor.withSystem(work);
      };
      return verifyOnce({ withSystem } as Database, given, new Memory(given));
    },
    count: async (text: string): Promise<number> =>
      Number((await sql.query<{ n: string }>(`select count(*) as n from ${text}`))[0]?.n),
  };
}
