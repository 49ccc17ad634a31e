// Owns: `cofferctl credential show`.
import { plain, table, when } from '../terminal/output.ts';
import { read } from '../verb/read.ts';
import { positional } from '../verb/verb.ts';

export const credentialShow = read({
  words: ['credential', 'show'],
  positionals: ['CREDENTIAL'],
  help: 'Shows one credential and what happened to it.',
  example: 'cofferctl credential show SHA256:…',
  operation: 'credential.show',
  params: (given) => ({ fingerprint: positional(given, 0) }),
  text: ({ credential: one, history }) => {
    const used = (at: string | null, from: string | null): string =>
      at === null ? 'never' : `${when(at)} from ${from ?? '?'}`;
    const facts: readonly (readonly [string, string])[] = [
      ['credential', `${one.fingerprint} (${one.algorithm})`],
      ['account', `${one.account}${one.customer === null ? ', internal' : ` of ${one.customer}`}`],
      ['state', one.state],
      ['issued', `${when(one.createdAt)} by ${one.issuedBy}`],
      ['valid', `${when(one.validFrom)} to ${when(one.expiresAt)}`],
      ['first used', used(one.firstUsedAt, one.firstUsedFrom)],
      ['last used', used(one.lastUsedAt, one.lastUsedFrom)],
      ['open sessions', String(one.openSessions)],
      [
        'restrictions',
        [one.readOnly ? 'read-only' : '', ...one.networks].filter((text) => text !== '').join(', ') ||
          'none of its own',
      ],
      ...(one.successor === null ? [] : [['replaced by', one.successor] as const]),
      ...(one.endedAt === null
        ? []
        : [['ended', `${when(one.endedAt)} by ${one.endedBy ?? '?'}: ${one.endedWhy ?? ''}`] as const]),
    ];
    const rows = history.map((event) => [when(event.at), event.kind, event.by, event.text]);
    return `${facts.map(([name, value]) => `${name.padEnd(14)} ${plain(value)}`).join('\n')}\n\n${table({ columns: ['AT', 'WHAT', 'BY', ''], rows, empty: 'nothing on record' })}`;
  },
});
