// Owns: how many log lines one kind of event may have in a minute, whoever causes it. Further lines are counted, and
// their number is written in one line.
// Must never: hold back an alert, or the last line of a process. The record does not pass through here, and nothing of
// it is ever dropped.

/** The largest number of lines in a minute for one message about one subject. */
const linesMax = 10;
/**
 * The largest number of subjects that one message distinguishes in a minute, counted separately for strangers and for
 * known accounts and operators. All further subjects count as one.
 */
const subjectsMax = 50;
/** The largest number of messages that are distinguished in a minute. It is more than the product has. */
const messagesMax = 500;
const others = 'others';
const partCharsMax = 100;

/**
 * The fields that distinguish one event from another with the same message: where it arrived, who caused it, and why.
 * Addresses are left out, because a stranger can have any number of them.
 */
const telling = [
  'node',
  'socket',
  'account',
  'operator',
  'certificate',
  'reason',
  'what',
  'op',
  'child',
  'forward',
  'witness',
  'pass',
  'err',
] as const;
type Telling = (typeof telling)[number];
type Fields = Readonly<Record<string, unknown>>;
type Kept = Readonly<Partial<Record<Telling, string>>>;

/** `more` is the number of lines that were not written since the last flush. */
type Unwritten = {
  readonly level: number;
  readonly message: string;
  readonly of: Kept | typeof others;
  readonly more: number;
};
type Line = { readonly level: number; readonly of: Kept | typeof others; written: number; more: number };

const wordOf = (value: unknown): string =>
  (value instanceof Error ? value.message : typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(
    0,
    partCharsMax,
  );

function keptOf(fields: Fields): Kept {
  return Object.fromEntries(
    telling.flatMap((name) => (fields[name] === undefined ? [] : [[name, wordOf(fields[name])]])),
  );
}

/**
 * Returns the group of a line. Lines about a known account or operator are counted in a group of their own, whose
 * subjects no stranger can use up.
 */
const whose = (fields: Fields): string =>
  fields.account === undefined && fields.operator === undefined ? 'anybody' : 'somebody';

export class LineBounds {
  /** The lines by message and group. */
  readonly #messages = new Map<string, { readonly message: string; readonly lines: Map<string, Line> }>();

  /** Returns whether this line may be written. If not, it is counted. */
  take(level: number, message: string, fields: Fields): boolean {
    const keyOf = (text: string): string => `${whose(fields)} ${text}`;
    const name = !this.#messages.has(keyOf(message)) && this.#messages.size >= messagesMax ? others : message;
    const known = this.#messages.get(keyOf(name)) ?? { message: name, lines: new Map<string, Line>() };
    this.#messages.set(keyOf(name), known);
    const line = this.#lineOf(known.lines, level, keptOf(fields));
    if (line.written < linesMax) {
      line.written += 1;
      return true;
    }
    line.more += 1;
    return false;
  }

  #lineOf(lines: Map<string, Line>, level: number, kept: Kept): Line {
    const wanted = JSON.stringify(kept);
    const isOther = !lines.has(wanted) && lines.size >= subjectsMax;
    const key = isOther ? others : wanted;
    const line = lines.get(key) ?? { level, of: isOther ? others : kept, written: 0, more: 0 };
    lines.set(key, line);
    return line;
  }

  /** Returns the lines that were not written, and starts a new minute. */
  flush(): readonly Unwritten[] {
    const unwritten = [...this.#messages.values()].flatMap(({ message, lines }) =>
      [...lines.values()].flatMap(({ level, of, more }) => (more === 0 ? [] : [{ level, message, of, more }])),
    );
    this.#messages.clear();
    return unwritten;
  }
}
