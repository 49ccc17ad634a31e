// Owns: how many lines of the log one kind of event may have in a minute, whoever causes it; what is more is counted, and said in one line.
// Must never: hold back an alert, or the last word of a process. The record is another thing: nothing of it goes through here.

/** Lines of one kind about one subject in a minute. */
const linesMax = 10;
/** Subjects that one message tells apart in a minute, of strangers and of those who are known; all others are one. */
const subjectsMax = 50;
/** Messages that are told apart in a minute: more than the product has. */
const messagesMax = 500;
const others = 'others';
const partCharsMax = 100;

/** What tells one event from another beside its message: where it came in, whose doing it is, and why. Addresses do not: a stranger has any number of them. */
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

/** `more`: lines that were not written since the last flush. */
export type Unwritten = { readonly level: number; readonly message: string; readonly of: Kept | typeof others; readonly more: number };
type Line = { readonly level: number; readonly of: Kept | typeof others; written: number; more: number };

const wordOf = (value: unknown): string =>
  (value instanceof Error ? value.message : typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(0, partCharsMax);

function keptOf(fields: Fields): Kept {
  return Object.fromEntries(telling.flatMap((name) => (fields[name] === undefined ? [] : [[name, wordOf(fields[name])]])));
}

/** Whose line it is: what somebody does who is known has subjects that no stranger can take. */
const whose = (fields: Fields): string => (fields.account === undefined && fields.operator === undefined ? 'anybody' : 'somebody');

export class LineBounds {
  /** By message and whose it is. */
  readonly #messages = new Map<string, { readonly message: string; readonly lines: Map<string, Line> }>();

  /** Whether this line is written; else it is counted. */
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

  /** What was not written, and a new minute. */
  flush(): readonly Unwritten[] {
    const unwritten = [...this.#messages.values()].flatMap(({ message, lines }) =>
      [...lines.values()].flatMap(({ level, of, more }) => (more === 0 ? [] : [{ level, message, of, more }])),
    );
    this.#messages.clear();
    return unwritten;
  }
}
