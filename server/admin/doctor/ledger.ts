// Owns: the findings about the record: whether it is frozen, whether entries are sealed and witnessed in time, and
// where its witnesses are.
// Must never: say that the record is what was witnessed. Only a verifier can say that.
import type { Config } from '../../config/config.ts';
import { isWitnessedElsewhere } from '../../config/ledger-settings.ts';
import type { Result } from '../../rpc/operation.ts';
import type { OperatorToAdmin } from '../../rpc/operators/table.ts';
import { type Finding, fault, ok, warning } from './finding.ts';

type Status = Result<OperatorToAdmin, 'ledger.status'>;

function witnessFinding(config: Pick<Config, 'mode' | 'ledger' | 'runtimeDirectory'>, behind: string | null): Finding {
  const { witnesses } = config.ledger;
  const names = witnesses.map((one) => `${one.name} (${one.type})`).join(', ');
  if (behind !== null)
    return fault(
      'witnesses',
      `behind: ${behind}`,
      'cofferctl ledger status; docs/operations/record.md, "A required witness that is away"',
    );
  if (isWitnessedElsewhere(config.ledger, config.runtimeDirectory)) return ok('witnesses', names);
  return config.mode === 'development'
    ? ok('witnesses', `${names}, on this machine: fine for a first look, refused in production`)
    : warning(
        'witnesses',
        `${names}: whoever has this machine has them too`,
        'ledger.witnesses: a directory on another mount, or an HTTPS witness',
      );
}

/**
 * How long, in milliseconds, a month may wait for its witness, for receivers, or for a moment in which nobody reads the
 * record.
 */
const patienceMs = 24 * 3_600_000;

/** Returns the finding whether every month that is due is archived. */
function archiveFinding(archiving: Status['archiving'], now: number): Finding {
  const stuck = archiving.filter((one) => one.failedAt !== null || now - Date.parse(one.dueSince) > patienceMs);
  const [first] = stuck;
  if (first === undefined)
    return ok(
      'archives',
      archiving.length === 0 ? 'every month that is due is archived' : `${archiving.length} months are being archived`,
    );
  const more = stuck.length === 1 ? '' : `, and ${stuck.length - 1} more`;
  return warning(
    'archives',
    `${first.month} has been due for archiving since ${first.dueSince.slice(0, 10)} and is still in the database: ${first.why ?? 'archiving goes on'}${more}`,
    'cofferctl ledger status; docs/operations/record.md, "Archives"',
  );
}

/**
 * Returns the finding about what the standing verification on another host said last. Its word alone does not prove the
 * record good; its silence is a fault.
 */
function verifiedFinding(
  config: Pick<Config, 'mode' | 'ledger'>,
  said: Status['verified'],
  bad: Status['standingBad'],
  now: number,
): Finding {
  const hours = config.ledger.verifiedWithinHours;
  const next = 'cofferctl ledger status; docs/operations/record.md, "Standing verification"';
  if (hours === null)
    return config.mode === 'development'
      ? ok('verification', 'no standing verification is set up')
      : warning(
          'verification',
          'no standing verification is set up: nobody checks whether the record is complete',
          next,
        );
  if (bad !== null)
    return fault(
      'verification',
      `${bad.host} said at ${bad.at} that the record does not verify: ${bad.text}; no later full run of that host found nothing bad`,
      next,
    );
  if (said === null) return fault('verification', 'the standing verification has never said anything', next);
  const age = now - Date.parse(said.at);
  if (said.verdict === 'failed') return fault('verification', `${said.host} could not verify: ${said.text}`, next);
  if (age > hours * 3_600_000)
    return fault('verification', `nobody has verified the record for ${Math.floor(age / 3_600_000)} h`, next);
  const text = `at ${said.at}, by ${said.host}, ${runText(said)}`;
  return said.verdict === 'good'
    ? ok('verification', `good ${text}`)
    : warning('verification', `not complete ${text}: ${said.text}`, next);
}

/** Returns what the last run read. */
const runText = ({ run, since }: NonNullable<Status['verified']>): string =>
  run === 'full' || since === null ? 'which read everything' : `which read what was sealed behind head ${since.head}`;

/**
 * The runs between look at new entries only: that an old one was changed is found by the next one that reads
 * everything.
 */
function fullyVerifiedFinding(hours: number | null, said: Status['fullyVerified'], now: number): readonly Finding[] {
  if (hours === null) return [];
  const next = 'cofferctl ledger status; docs/operations/record.md, "Standing verification"';
  if (said === null)
    return [fault('full verification', 'no run of the standing verification has read the whole record yet', next)];
  const age = now - Date.parse(said.at);
  if (age > hours * 3_600_000)
    return [
      fault('full verification', `nobody has verified the whole record for ${Math.floor(age / 3_600_000)} h`, next),
    ];
  const text = `at ${said.at}, by ${said.host}: ${said.entries} entries`;
  return [
    said.verdict === 'good'
      ? ok('full verification', `good ${text}`)
      : warning('full verification', `nothing bad was found, and not everything was read, ${text}: ${said.text}`, next),
  ];
}

/** Returns a finding only when an entry was set aside, because an honest gateway never sets one aside. */
function setAsideFinding(setAside: Status['setAside']): readonly Finding[] {
  const [first] = setAside;
  if (first === undefined) return [];
  const more = setAside.length === 1 ? '' : `, and ${setAside.length - 1} more`;
  return [
    fault(
      'set aside',
      `entry ${first.entry} cannot be sealed and was set aside at ${first.at}${more}: ${first.why}`,
      'cofferctl ledger search --kind ledger.set-aside; docs/operations/at-night.md, `ledger.unreadable`',
    ),
  ];
}

export function ledgerFindings(
  config: Pick<Config, 'mode' | 'ledger' | 'limits' | 'runtimeDirectory'>,
  status: Status,
): readonly Finding[] {
  const { witnessAlarmMs, witnessStopMs } = config.limits;
  const lateMs = Math.max(status.unsealedMs, status.unwitnessedMs);
  const what = status.unsealedMs > status.unwitnessedMs ? 'entries without a seal' : 'a checkpoint without a witness';
  const behind = status.late?.behind ?? null;
  const who = behind === null ? '' : ` (${behind})`;
  const next = "cofferctl ledger status; look at the warden's log: does the witness answer, can it be written (df -h)?";
  const state =
    status.freeze !== null
      ? fault('record', `frozen: ${status.freeze.text}`, 'cofferctl ledger status')
      : lateMs >= witnessStopMs
        ? fault('record', `nothing is served: ${what} for ${Math.round(lateMs / 1000)} s${who}`, next)
        : lateMs >= witnessAlarmMs
          ? fault(
              'record',
              `${what} for ${Math.round(lateMs / 1000)} s${who}; after ${witnessStopMs / 1000} s nothing more is served`,
              next,
            )
          : ok('record', `${status.entries} entries sealed, checkpoint of ${status.checkpointAt ?? 'nothing yet'}`);
  return [
    state,
    ...setAsideFinding(status.setAside),
    witnessFinding(config, behind),
    archiveFinding(status.archiving, Date.now()),
    verifiedFinding(config, status.verified, status.standingBad, Date.now()),
    ...fullyVerifiedFinding(config.ledger.fullyVerifiedWithinHours, status.fullyVerified, Date.now()),
  ];
}
