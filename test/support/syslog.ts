// Owns: reading syslog messages back: RFC 5424, the frames of a stream, CEF.

export type Parsed = {
  readonly pri: number;
  readonly hostname: string;
  readonly messageId: string;
  readonly params: Readonly<Record<string, string>>;
  /** Without its byte order mark. */
  readonly message: string;
};

/** Throws for anything that is not one message of RFC 5424 with at most one element of structured data. */
export function parseSyslog(text: string): Parsed {
  const head = /^<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) /.exec(text);
  if (head === null) throw new Error(`no header: ${text.slice(0, 200)}`);
  const params: Record<string, string> = {};
  let rest = text.slice(head[0].length);
  if (rest.startsWith('-')) rest = rest.slice(1);
  else {
    const element = /^\[[^ =\]"]{1,32}/.exec(rest);
    if (element === null) throw new Error(`no structured data: ${rest.slice(0, 200)}`);
    rest = rest.slice(element[0].length);
    for (;;) {
      const one = /^ ([^ =\]"]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"/.exec(rest);
      if (one === null) break;
      if ((one[1] ?? '') in params) throw new Error(`twice: ${one[1]}`);
      params[one[1] ?? ''] = (one[2] ?? '').replace(/\\(["\\\]])/g, '$1');
      rest = rest.slice(one[0].length);
    }
    if (!rest.startsWith(']')) throw new Error(`the element does not end: ${rest.slice(0, 200)}`);
    rest = rest.slice(1);
  }
  if (!rest.startsWith(' ')) throw new Error(`no message: ${rest.slice(0, 200)}`);
  return {
    pri: Number(head[1]),
    hostname: head[3] ?? '',
    messageId: head[6] ?? '',
    params,
    message: rest.slice(1).replace(/^\ufeff/, ''),
  };
}

/** Cuts whole messages from the front of what a stream brought so far. */
export function takeFrames(
  bytes: Buffer,
  framing: 'octets' | 'lines',
): { readonly messages: readonly string[]; readonly rest: Buffer } {
  const messages: string[] = [];
  let rest = bytes;
  for (;;) {
    if (framing === 'lines') {
      const end = rest.indexOf(0x0a);
      if (end === -1) return { messages, rest };
      messages.push(rest.subarray(0, end).toString('utf8'));
      rest = rest.subarray(end + 1);
      continue;
    }
    const head = /^(\d{1,6}) /.exec(rest.subarray(0, 8).toString('latin1'));
    if (head === null) {
      if (rest.length >= 8) throw new Error('no octet count');
      return { messages, rest };
    }
    const from = head[0].length;
    const end = from + Number(head[1]);
    if (rest.length < end) return { messages, rest };
    messages.push(rest.subarray(from, end).toString('utf8'));
    rest = rest.subarray(end);
  }
}

export function parseCef(text: string): {
  readonly head: readonly string[];
  readonly extension: Readonly<Record<string, string>>;
} {
  const head: string[] = [];
  let [field, at] = ['', 0];
  for (; at < text.length && head.length < 7; at += 1) {
    const one = text[at] ?? '';
    if (one === '\\') {
      at += 1;
      field += text[at] ?? '';
    } else if (one === '|') {
      head.push(field);
      field = '';
    } else field += one;
  }
  if (head.length !== 7 || head[0] !== 'CEF:0') throw new Error(`no header: ${text.slice(0, 200)}`);
  const extension: Record<string, string> = {};
  // A key begins after a blank and ends before an = that is not escaped.
  for (const pair of text.slice(at).split(/ (?=[A-Za-z0-9]+=)/)) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, equals);
    if (name in extension) throw new Error(`twice: ${name}`);
    extension[name] = pair
      .slice(equals + 1)
      .replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one === 'r' ? '\r' : one));
  }
  return { head, extension };
}
