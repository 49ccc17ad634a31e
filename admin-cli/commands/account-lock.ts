import { changing } from '../changing.ts';
import { type Command, positional, wholeNumber, yesNo } from '../command.ts';
import { when } from '../output.ts';

const reason = { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true } as const;

export const accountLock: Command = {
  words: ['account', 'lock'],
  positionals: ['NAME'],
  options: [reason],
  help: 'Locks an account and ends its sessions. `account unlock` undoes it.',
  example: 'cofferctl account lock northbank-batch --reason "seen at an odd hour"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'account.lock',
      { name: positional(given, 0), reason: given.options.reason ?? '' },
      (data) => `account locked; ${data.sessionsEnded} sessions ended\n`,
    );
  },
};

export const accountUnlock: Command = {
  words: ['account', 'unlock'],
  positionals: ['NAME'],
  options: [reason],
  help: 'Unlocks an account, and lets the counters of failed guesses against it begin again.',
  example: 'cofferctl account unlock northbank-batch --reason "its holder called"',
  changes: true,
  run: async (client, given) => {
    return changing(
      client,
      given,
      'account.unlock',
      { name: positional(given, 0), reason: given.options.reason ?? '' },
      (data) =>
        `${data.wasLocked ? 'account unlocked' : 'the account was not locked'}; ${data.countersCleared} counters of failed guesses cleared\n`,
    );
  },
};

export const accountExpire: Command = {
  words: ['account', 'expire'],
  positionals: ['NAME'],
  options: [{ name: 'days', value: 'N|never', help: 'so many days from now; 0 = now', required: true }, reason],
  help: 'Gives an account an end, or takes it away. Its open sessions end.',
  example: 'cofferctl account expire auditor-2026 --days 14 --reason "the audit ends"',
  changes: true,
  run: async (client, given) => {
    const isNever = given.options.days === 'never';
    const inDays = isNever ? null : (wholeNumber(given, 'days') ?? 0);
    return changing(client, given, 'account.expire', { name: positional(given, 0), inDays, reason: given.options.reason ?? '' }, (data) => {
      const until = data.expiresAt === null ? 'has no end' : `ends ${when(data.expiresAt)}`;
      return `the account ${until}; ${data.sessionsEnded} sessions ended\n`;
    });
  },
};

export const accountSet: Command = {
  words: ['account', 'set'],
  positionals: ['NAME'],
  options: [
    { name: 'networks', value: 'NET,…|any', help: 'sources from which it may log in' },
    { name: 'read-only', value: 'yes|no', help: 'it may read and list, nothing else' },
    {
      name: 'manages',
      value: 'yes|no',
      help: "a person who opens windows of the customer's machine accounts and manages their keys over SSH",
    },
    { name: 'contact', value: 'TEXT', help: 'whom to tell' },
    reason,
  ],
  help: 'Changes what an account may do and from where. Its open sessions end.',
  example: 'cofferctl account set northbank-batch --networks 192.0.2.0/24 --reason "contract of May"',
  changes: true,
  run: async (client, given) => {
    const { networks, contact } = given.options;
    const readOnly = yesNo(given, 'read-only');
    const manages = yesNo(given, 'manages');
    return changing(
      client,
      given,
      'account.set',
      {
        name: positional(given, 0),
        reason: given.options.reason ?? '',
        ...(networks === undefined ? {} : { networks: networks === 'any' ? [] : networks.split(',') }),
        ...(readOnly === undefined ? {} : { readOnly }),
        ...(manages === undefined ? {} : { manages }),
        ...(contact === undefined ? {} : { contact }),
      },
      (data) => `account changed; ${data.sessionsEnded} sessions ended\n`,
    );
  },
};

export const customerPolicy: Command = {
  words: ['customer', 'policy'],
  positionals: ['NAME'],
  options: [
    {
      name: 'allow',
      value: 'SET,…|all',
      help: 'key+code, password+code, security-key, key+certificate, key+password, key+window',
      required: true,
    },
    reason,
  ],
  help: 'Says which sets of proofs may open a session of this customer: all that the gateway has, or fewer. Its open sessions end.',
  example: 'cofferctl customer policy northbank --allow key+code --reason "their own rule"',
  changes: true,
  run: async (client, given) => {
    const { allow } = given.options;
    return changing(
      client,
      given,
      'customer.policy',
      {
        name: positional(given, 0),
        allow: allow === 'all' ? null : (allow ?? '').split(','),
        reason: given.options.reason ?? '',
      },
      (data) => `policy set; ${data.sessionsEnded} sessions ended\n`,
    );
  },
};
