// Owns: the deadlines for notifications after an incident, counted from the moment of awareness. They are facts for a
// person who decides, not legal advice.
// Must never: decide which of them apply. That depends on our role for the customer and on the severity of the
// incident.

type Clock = {
  readonly rule: string;
  readonly what: string;
  /** The deadline in ISO 8601, in UTC. */
  readonly until: string;
  readonly note: string;
};

const hourMs = 3_600_000;
const after = (from: Date, hours: number): Date => new Date(from.getTime() + hours * hourMs);

/** Returns the same day of the next month, or the last day of that month when it is shorter. */
export function monthAfter(from: Date): Date {
  const last = new Date(Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + 2, 0)).getUTCDate();
  const day = Math.min(from.getUTCDate(), last);
  return new Date(
    Date.UTC(
      from.getUTCFullYear(),
      from.getUTCMonth() + 1,
      day,
      from.getUTCHours(),
      from.getUTCMinutes(),
      from.getUTCSeconds(),
    ),
  );
}

/**
 * Returns the deadlines, the earliest first. All are counted from awareness, which is the earliest moment from which
 * any of these rules counts.
 */
export function clocksFrom(aware: Date): readonly Clock[] {
  const initial = after(aware, 24);
  const intermediate = after(initial, 72);
  return [
    {
      rule: 'DORA, Regulation (EU) 2022/2554 art. 19, Delegated Regulation (EU) 2025/301',
      what: 'initial notification, when classified as major at once',
      until: after(aware, 4).toISOString(),
      note: '4 hours from the classification as major; here as if it was classified at awareness',
    },
    {
      rule: 'DORA, Regulation (EU) 2022/2554 art. 19, Delegated Regulation (EU) 2025/301',
      what: 'initial notification, at the latest',
      until: initial.toISOString(),
      note: '24 hours from awareness',
    },
    {
      rule: 'US banks: 12 CFR 53, 225 subpart N, 304 subpart C',
      what: 'notification of the primary federal regulator by a banking organisation',
      until: after(aware, 36).toISOString(),
      note: '36 hours from the determination; a bank service provider tells its banks as soon as possible',
    },
    {
      rule: 'NYDFS: 23 NYCRR 500.17(a)',
      what: 'notice to the superintendent',
      until: after(aware, 72).toISOString(),
      note: '72 hours from the determination that a cybersecurity incident has occurred, at a third party too',
    },
    {
      rule: 'DORA, Regulation (EU) 2022/2554 art. 19, Delegated Regulation (EU) 2025/301',
      what: 'intermediate report',
      until: intermediate.toISOString(),
      note: '72 hours from the initial notification; here as if it was made at the latest moment',
    },
    {
      rule: 'DORA, Regulation (EU) 2022/2554 art. 19, Delegated Regulation (EU) 2025/301',
      what: 'final report',
      until: monthAfter(intermediate).toISOString(),
      note: 'one month from the intermediate report',
    },
  ];
}
