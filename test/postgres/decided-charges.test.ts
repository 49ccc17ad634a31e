// What the database decides about a batch of charges is what the rule of the product decides
// (server/domain/budgets/decide.ts), for thousands of random batches; and both speak the same words.
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import type { Charged, Decision } from '../../server/domain/budgets/decide.ts';
import { chargeOutcomes, type WindowAmounts } from '../../server/domain/budgets/words.ts';
import { Bank, startBankDatabase } from '../support/bank.ts';
import { migrations } from '../support/database.ts';
import { decideCharges, type Item, type Scope, sixOf } from '../support/decided-charges.ts';

const nowMs = Date.UTC(2026, 5, 1, 12);
const hourMs = 3_600_000;
const runs = 60;
const batchesOfRun = 100;

/** Two budgets of each rank, and one of the gateway. */
const idsOfRank = [[1, 2], [3, 4], [5, 6], [7, 8], [9]] as const;
const small = (min: number, max: number) => fc.integer({ min, max });
const chargedAt = fc.constantFrom(null, null, nowMs - hourMs, nowMs - 24 * hourMs, nowMs - 25 * hourMs);
const item: fc.Arbitrary<Item> = fc.record({
  download: fc.boolean(),
  customer: small(0, 1),
  bytes: fc.oneof({ weight: 12, arbitrary: small(0, 20) }, fc.constantFrom(null, -1)),
  items: fc.oneof({ weight: 12, arbitrary: small(0, 2) }, fc.constantFrom(null, -1)),
  budgets: fc.tuple(
    ...idsOfRank.map((ids) =>
      fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...ids) as fc.Arbitrary<number | null> }, fc.constant(null)),
    ),
  ),
  credential: small(0, 1),
  object: fc.option(small(0, 5)),
  file: fc.option(small(0, 2)),
  objectChargedAtMs: chargedAt,
  fileChargedAtMs: chargedAt,
  isGood: fc.oneof({ weight: 12, arbitrary: fc.constant(true) }, fc.constantFrom(false, null)),
});
const pair = (bytesMin: number, bytesMax: number, itemsMin: number, itemsMax: number) =>
  fc.record({ bytes: small(bytesMin, bytesMax), items: small(itemsMin, itemsMax) });
const windows = fc.record({ hour: small(0, 60), day: small(0, 60), week: small(0, 60) });
const amounts: fc.Arbitrary<WindowAmounts> = fc.record({ bytes: windows, items: windows });
const scopeOf = (id: number): fc.Arbitrary<Scope> =>
  fc.record({
    id: fc.constant(id),
    budget: fc.record({
      room: fc.record({
        hard: fc.oneof(pair(500, 900, 50, 90), pair(-5, 120, -1, 12)),
        half: fc.option(pair(-5, 60, -1, 6)),
        soft: fc.oneof(pair(500, 900, 50, 90), pair(-5, 60, -1, 6)),
      }),
      taken: fc.constant({ bytes: 0, items: 0 }),
      slowUntilMs: fc.constantFrom(Number.NEGATIVE_INFINITY, nowMs - 0.001, nowMs, nowMs + 0.001, nowMs + 5000.4),
      ceilingPercent: small(100, 300),
      pace: id >= 7 ? fc.record({ caps: amounts, used: amounts }) : fc.constant(null),
    }),
  });
const batch = fc.record({
  asked: fc.array(item, { minLength: 1, maxLength: 12 }),
  // Some rows are not there any more when they are to be locked.
  scopes: fc
    .tuple(...idsOfRank.flat().map((id) => fc.tuple(scopeOf(id), small(0, 30))))
    .map((all) => all.flatMap(([scope, n]) => (n === 0 ? [] : [scope]))),
});
type Batch = { readonly asked: readonly Item[]; readonly scopes: readonly Scope[] };

const micros = (ms: number): number => Math.round(ms * 1000);
const instant = (ms: number | null): string | null => {
  if (ms === null || ms === Number.NEGATIVE_INFINITY) return ms === null ? null : '-infinity';
  const us = micros(ms);
  return `${new Date(Math.floor(us / 1000)).toISOString().slice(0, -1)}${String(us % 1000).padStart(3, '0')}Z`;
};
const uuid = (n: number | null): string | null =>
  n === null ? null : `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
/** The first of the batch with this credential and this name, counted from 1; of what has no name, itself. */
const firstLike = (asked: readonly Item[], i: number, name: 'object' | 'file'): number => {
  const one = asked[i];
  if (one?.[name] == null) return i + 1;
  return asked.findIndex((other) => other.credential === one.credential && other[name] === one[name]) + 1;
};

function asRows({ asked, scopes }: Batch, customers: readonly string[]) {
  return {
    good: asked.map((one) => one.isGood),
    asked: asked.map((one, i) => ({
      download: one.download ? uuid(1) : null,
      customer: customers[one.customer],
      bytes: one.bytes,
      items: one.items,
      budgets: one.budgets,
      same_object: firstLike(asked, i, 'object'),
      same_file: firstLike(asked, i, 'file'),
      object_charged_at: instant(one.objectChargedAtMs),
      file_charged_at: instant(one.fileChargedAtMs),
    })),
    scopes: scopes.map(({ id, budget: { room, slowUntilMs, ceilingPercent, pace } }) => ({
      id,
      added_bytes: 0,
      added_items: 0,
      room_bytes: room.hard.bytes,
      room_items: room.hard.items,
      half_bytes: room.half?.bytes ?? null,
      half_items: room.half?.items ?? null,
      soft_bytes: room.soft.bytes,
      soft_items: room.soft.items,
      slow_until: instant(slowUntilMs),
      ceiling_percent: ceilingPercent,
      caps: pace && sixOf(pace.caps),
      used: pace && sixOf(pace.used),
    })),
  };
}

const text = `select d.decided, (select coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'bytes', s.added_bytes, 'items', s.added_items,
      'us', case when isfinite(s.slow_until) then (extract(epoch from s.slow_until) * 1000000)::bigint end)), '[]') from jsonb_populate_recordset(null::charge_scope, d.scopes) s) as taken
  from (select b.o, to_jsonb(x.decided) as decided, to_jsonb(x.scopes) as scopes from jsonb_array_elements($1::jsonb) with ordinality b(one, o)
    cross join lateral decide_charges(
      array(select i from jsonb_populate_recordset(null::charge_item, b.one -> 'asked') i),
      array(select g::boolean from jsonb_array_elements_text(b.one -> 'good') g),
      array(select s from jsonb_populate_recordset(null::charge_scope, b.one -> 'scopes') s),
      $2::timestamptz) x) d order by d.o`;
type Answer = {
  readonly decided: readonly Record<string, unknown>[];
  readonly taken: readonly {
    readonly id: number;
    readonly bytes: number;
    readonly items: number;
    readonly us: number | null;
  }[];
};

const nothing = { rank: 0, isHalf: false, afterMs: 0, isSlow: false, paysFile: false };

/**
 * What of an answer is not what was expected, in words. Instants of an interval that was divided may differ by a
 * millisecond.
 */
function faultOf(
  decisions: readonly Decision[],
  budgets: ReadonlyMap<number, Charged>,
  answer: Answer | undefined,
): string | undefined {
  if (answer?.decided.length !== decisions.length) return `${answer?.decided.length} decisions`;
  for (const [at, decision] of decisions.entries()) {
    const found = answer.decided[at];
    const expected = { ...nothing, isSlow: decision.outcome === 'later', ...decision };
    const same =
      found?.outcome === expected.outcome &&
      found.refusing_rank === expected.rank &&
      found.is_half === expected.isHalf &&
      found.is_slow === expected.isSlow &&
      found.pays_file === expected.paysFile &&
      Math.abs(Number(found.after_ms) - expected.afterMs) <= 1;
    if (!same) return `item ${at}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`;
  }
  for (const found of answer.taken) {
    const expected = budgets.get(found.id);
    const slowUntilMs = expected?.slowUntilMs ?? Number.NaN;
    const isSameTime =
      found.us === null
        ? slowUntilMs === Number.NEGATIVE_INFINITY
        : Math.abs(micros(slowUntilMs) - Number(found.us)) <= 1000;
    if (Number(found.bytes) !== expected?.taken.bytes || Number(found.items) !== expected.taken.items || !isSameTime)
      return `budget ${found.id}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`;
  }
  return undefined;
}

test('the database decides what the rule decides', async (t) => {
  const given = await startBankDatabase(t);
  const shared = await Bank.create(given, 'shared', 1);
  await shared.addReader();
  await shared.addReader();
  const alone = await Bank.create(given, 'alone', 1);
  await alone.addReader();
  const customers = [alone.id, shared.id];
  const seen = new Map<string, number>();
  let batches = 0;
  const seed = randomInt(2 ** 30);
  const same = fc.asyncProperty(fc.array(batch, { minLength: batchesOfRun, maxLength: batchesOfRun }), async (all) => {
    const answers = await given.sql.query<Answer>(text, [
      JSON.stringify(all.map((one) => asRows(one, customers))),
      instant(nowMs),
    ]);
    for (const [i, one] of all.entries()) {
      batches += 1;
      const { decisions, budgets } = decideCharges(one.asked, one.scopes, nowMs, (customer) => customer === 1);
      for (const { outcome } of decisions) seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
      const fault = faultOf(decisions, budgets, answers[i]);
      if (fault !== undefined) throw new Error(`${fault}; of ${JSON.stringify(one)}`);
    }
  });
  // The fault says enough; to make its example smaller would cost hundreds of calls.
  const { failed, errorInstance } = await fc.check(same, { seed, numRuns: runs, endOnFailure: true });
  t.notOk(failed, `seed ${seed}: ${batches} batches; ${errorInstance instanceof Error ? errorInstance.message : ''}`);
  for (const outcome of chargeOutcomes) t.ok((seen.get(outcome) ?? 0) > 500, `${outcome}: ${seen.get(outcome)}`);
});

test('database and rule use the same words for refusals', (t) => {
  const source = readFileSync(join(migrations, 'functions', 'charges.sql'), 'utf8').replace(/--.*$/gm, '');
  const said = [...source.matchAll(/outcome (?::=|=|<>) '([a-z-]+)'|outcome in \(([^)]*)\)|row\('([a-z-]+)'/g)].flatMap(
    ([, one, list, first]) =>
      list === undefined ? [one ?? first ?? ''] : [...list.matchAll(/'([a-z-]+)'/g)].map(([, word = '']) => word),
  );
  t.same([...new Set(said)].sort(), [...chargeOutcomes].sort());
  t.end();
});
