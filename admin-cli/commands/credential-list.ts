import { changing } from '../changing.ts';
import type { Command } from '../command.ts';
import { positional } from '../command.ts';
import { plain, table, when } from '../output.ts';
import { credentialTable } from '../selection.ts';

export const credentialList: Command = {
  words: ['credential', 'list'],
  positionals: [],
  options: [
    { name: 'customer', value: 'NAME', help: 'only of this customer' },
    { name: 'account', value: 'NAME', help: 'only of this account' },
    { name: 'state', value: 'STATE', help: 'pending, active, retiring, expired, dormant, suspended or revoked' },
  ],
  help: 'Lists keys and passwords: who issued them, their state, and when and from where they were last used.',
  example: 'cofferctl credential list --account acme-batch',
  run: async (client, given) => {
    const { customer, account, state } = given.options;
    const data = await client.call('credential.list', {
      ...(customer === undefined ? {} : { customer }),
      ...(account === undefined ? {} : { account }),
      ...(state === undefined ? {} : { state }),
    });
    return { data, text: credentialTable(data.credentials, 'no credentials') };
  },
};

export const credentialShow: Command = {
  words: ['credential', 'show'],
  positionals: ['CREDENTIAL'],
  options: [],
  help: 'Shows one credential and what happened to it.',
  example: 'cofferctl credential show SHA256:…',
  run: async (client, given) => {
    const data = await client.call('credential.show', { fingerprint: positional(given, 0) });
    const one = data.credential;
    const used = (at: string | null, from: string | null): string => (at === null ? 'never' : `${when(at)} from ${from ?? '?'}`);
    const facts: readonly (readonly [string, string])[] = [
      ['credential', `${one.fingerprint} (${one.algorithm})`],
      ['account', `${one.account}${one.customer === null ? ', internal' : ` of ${one.customer}`}`],
      ['state', one.state],
      ['issued', `${when(one.createdAt)} by ${one.issuedBy}`],
      ['valid', `${when(one.validFrom)} to ${when(one.expiresAt)}`],
      ['first used', used(one.firstUsedAt, one.firstUsedFrom)],
      ['last used', used(one.lastUsedAt, one.lastUsedFrom)],
      ['open sessions', String(one.openSessions)],
      ['restrictions', [one.readOnly ? 'read-only' : '', ...one.networks].filter((text) => text !== '').join(', ') || 'none of its own'],
      ...(one.successor === null ? [] : [['replaced by', one.successor] as const]),
      ...(one.endedAt === null ? [] : [['ended', `${when(one.endedAt)} by ${one.endedBy ?? '?'}: ${one.endedWhy ?? ''}`] as const]),
    ];
    const rows = data.history.map((event) => [when(event.at), event.kind, event.by, event.text]);
    return {
      data,
      text: `${facts.map(([name, value]) => `${name.padEnd(14)} ${plain(value)}`).join('\n')}\n\n${table({ columns: ['AT', 'WHAT', 'BY', ''], rows, empty: 'nothing on record' })}`,
    };
  },
};

export const credentialStale: Command = {
  words: ['credential', 'stale'],
  positionals: [],
  options: [],
  help: 'Lists what nobody uses any more (dormant, or soon), and what expires within the warning time.',
  example: 'cofferctl credential stale',
  run: async (client) => {
    const data = await client.call('credential.stale', {});
    return { data, text: credentialTable(data.credentials, 'nothing is stale') };
  },
};

export const credentialWake: Command = {
  words: ['credential', 'wake'],
  positionals: ['CREDENTIAL'],
  options: [{ name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true }],
  help: 'Makes a dormant credential usable again.',
  example: 'cofferctl credential wake SHA256:… --reason "yearly statement run"',
  changes: true,
  run: async (client, given) => {
    const params = { fingerprint: positional(given, 0), reason: given.options.reason ?? '' };
    return changing(client, given, 'credential.wake', params, () => 'the credential may be used again\n');
  },
};
