// What each operation on folders and files does, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { entry, handles, ofAcme, reason } from './words.ts';

const collect = { customer: 'acme', folder: 'collect', reason } as const;
const withdraw = (version: string) => ['file.withdraw', { version: `<acme:${version}>`, reason }] as const;
const release = (version: string, days = 3) =>
  ['file.release', { version: `<acme:${version}>`, days, reason }] as const;
const reopen = ['file.reopen', { version: '<acme:once.1>', account: 'acme-batch', reason }] as const;
const done =
  "insert into done_file (account_id, version_id, customer_id) select a.id, '<acme:once.1>', a.customer_id from account a where a.name = 'acme-batch'";
/** A directory that is called like the withdrawn file. */
const directory =
  "insert into directory (id, customer_id, folder_id, name) select gen_random_uuid(), customer_id, folder_id, name from file where name = 'gone'";
const removed = 'update directory set removed_at = clock_timestamp()';
const moved =
  "update file set directory_id = (select d.id from directory d where d.customer_id = file.customer_id) where name = 'gone'";
const releasesGone = {
  answer: { until: '+3d' },
  changed: {
    'version acme:gone.1': {
      state: 'published',
      withdrawn_at: null,
      withdrawn_why: null,
      complete_reads: 0,
      released_until: '+3d',
    },
  },
  entries: [
    entry('file.released', 'acme', { operator: 'both' }, { public: { until: '+3d' }, version_id: 'acme:gone.1' }),
  ],
};

/** The rules of a collect folder as entries and answers state them, without windows and retention. */
const rules = { publish: 'on-close', marker: '.done', settleSeconds: 0, replace: true, directories: true } as const;
const otherwise = { ...rules, publish: 'on-marker', marker: '.ok', replace: false } as const;
const ofDeposit = { ...rules, replace: false } as const;

export const fileCases: readonly Case[] = [
  {
    says: 'narrower',
    run: ['folder.set', { ...collect, windowDays: 20, readsMax: 2, retentionDays: 90 }],
    does: {
      answer: { ...rules, windowDays: 20, readsMax: 2, retentionDays: 90, sessionsEnded: 0, held: 0, settling: 0 },
      changed: { 'folder acme/collect': { reads_max: 2, window_days: 20, retention_days: 90 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { ...rules, readsMax: 2, windowDays: 20, retentionDays: 90 },
              before: { ...rules, readsMax: null, windowDays: 30, retentionDays: 60 },
              folder: 'collect',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
    },
  },
  {
    says: 'a longer window',
    run: ['folder.set', { ...collect, windowDays: 31 }],
    does: {
      answer: {
        ...rules,
        windowDays: 31,
        readsMax: null,
        retentionDays: 60,
        sessionsEnded: 0,
        held: 0,
        settling: 0,
      },
      widened: ['the window of collect'],
      changed: { 'folder acme/collect': { window_days: 31 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { ...rules, readsMax: null, windowDays: 31, retentionDays: 60 },
              before: { ...rules, readsMax: null, windowDays: 30, retentionDays: 60 },
              folder: 'collect',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
    },
  },
  {
    says: 'no window',
    run: ['folder.set', { ...collect, windowDays: null }],
    does: {
      answer: {
        ...rules,
        windowDays: null,
        readsMax: null,
        retentionDays: 60,
        sessionsEnded: 0,
        held: 0,
        settling: 0,
      },
      widened: ['the window of collect'],
      changed: { 'folder acme/collect': { window_days: null } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { ...rules, readsMax: null, windowDays: null, retentionDays: 60 },
              before: { ...rules, readsMax: null, windowDays: 30, retentionDays: 60 },
              folder: 'collect',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
    },
  },
  {
    says: 'more reads',
    prior: [['folder.set', { ...collect, readsMax: 2 }]],
    run: ['folder.set', { ...collect, readsMax: 3 }],
    does: {
      answer: { ...rules, windowDays: 30, readsMax: 3, retentionDays: 60, sessionsEnded: 0, held: 0, settling: 0 },
      widened: ['the reads of collect'],
      changed: { 'folder acme/collect': { reads_max: 3 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { ...rules, readsMax: 3, windowDays: 30, retentionDays: 60 },
              before: { ...rules, readsMax: 2, windowDays: 30, retentionDays: 60 },
              folder: 'collect',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
    },
  },
  {
    says: 'any number of reads',
    prior: [['folder.set', { ...collect, readsMax: 2 }]],
    run: ['folder.set', { ...collect, readsMax: null }],
    does: {
      answer: {
        ...rules,
        windowDays: 30,
        readsMax: null,
        retentionDays: 60,
        sessionsEnded: 0,
        held: 0,
        settling: 0,
      },
      widened: ['the reads of collect'],
      changed: { 'folder acme/collect': { reads_max: null } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { ...rules, readsMax: null, windowDays: 30, retentionDays: 60 },
              before: { ...rules, readsMax: 2, windowDays: 30, retentionDays: 60 },
              folder: 'collect',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
    },
  },
  {
    says: 'destroyed sooner',
    run: ['folder.set', { ...collect, retentionDays: 30 }],
    does: {
      answer: {
        ...rules,
        windowDays: 30,
        readsMax: null,
        retentionDays: 30,
        sessionsEnded: 0,
        held: 0,
        settling: 0,
      },
      widened: ['what is destroyed sooner in collect'],
      changed: { 'folder acme/collect': { retention_days: 30 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { ...rules, readsMax: null, windowDays: 30, retentionDays: 30 },
              before: { ...rules, readsMax: null, windowDays: 30, retentionDays: 60 },
              folder: 'collect',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
    },
  },
  {
    says: 'never destroyed',
    run: ['folder.set', { ...collect, retentionDays: null }],
    does: {
      answer: {
        ...rules,
        windowDays: 30,
        readsMax: null,
        retentionDays: null,
        sessionsEnded: 0,
        held: 0,
        settling: 0,
      },
      changed: { 'folder acme/collect': { retention_days: null } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { ...rules, readsMax: null, windowDays: 30, retentionDays: null },
              before: { ...rules, readsMax: null, windowDays: 30, retentionDays: 60 },
              folder: 'collect',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
    },
  },
  {
    says: 'destroyed at all',
    run: ['folder.set', { ...collect, folder: 'deposit', retentionDays: 30 }],
    does: {
      answer: {
        ...rules,
        replace: false,
        windowDays: null,
        readsMax: null,
        retentionDays: 30,
        sessionsEnded: 0,
        held: 0,
        settling: 0,
      },
      widened: ['what is destroyed sooner in deposit'],
      changed: { 'folder acme/deposit': { retention_days: 30 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { ...ofDeposit, readsMax: null, windowDays: null, retentionDays: 30 },
              before: { ...ofDeposit, readsMax: null, windowDays: null, retentionDays: null },
              folder: 'deposit',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
    },
  },
  {
    run: ['folder.set', { ...collect, retentionDays: 29 }],
    refused: { code: 'invalid', message: 'retention cannot end before the window does' },
  },
  {
    says: 'published otherwise, replaced no more',
    run: ['folder.set', { ...collect, publish: 'on-marker', marker: '.ok', replace: false }],
    does: {
      answer: {
        ...rules,
        publish: 'on-marker',
        marker: '.ok',
        replace: false,
        windowDays: 30,
        readsMax: null,
        retentionDays: 60,
        sessionsEnded: 7,
        held: 0,
        settling: 0,
      },
      widened: ['when files are published in collect'],
      changed: { 'folder acme/collect': { publish_rule: 'on-marker', marker: '.ok', replace_allowed: false } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { ...otherwise, readsMax: null, windowDays: 30, retentionDays: 60 },
              before: { ...rules, readsMax: null, windowDays: 30, retentionDays: 60 },
              folder: 'collect',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
      ended: { 'customer: the rules of folder collect were changed': [...ofAcme, 'processor@1'] },
      closed: handles,
    },
  },
  {
    says: 'files settle for longer, no directories',
    run: ['folder.set', { ...collect, settleSeconds: 60, directories: false }],
    does: {
      answer: {
        ...rules,
        settleSeconds: 60,
        directories: false,
        windowDays: 30,
        readsMax: null,
        retentionDays: 60,
        sessionsEnded: 7,
        held: 0,
        settling: 0,
      },
      changed: { 'folder acme/collect': { settle_ms: 60_000, directories_allowed: false } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: {
                ...rules,
                settleSeconds: 60,
                directories: false,
                readsMax: null,
                windowDays: 30,
                retentionDays: 60,
              },
              before: { ...rules, readsMax: null, windowDays: 30, retentionDays: 60 },
              folder: 'collect',
              held: 0,
              settling: 0,
            },
          },
        ),
      ],
      ended: { 'customer: the rules of folder collect were changed': [...ofAcme, 'processor@1'] },
      closed: handles,
    },
  },
  {
    says: 'a marker that would be a temporary name',
    run: ['folder.set', { ...collect, publish: 'on-marker', marker: '.tmp' }],
    refused: { code: 'invalid', message: /^\.tmp is an ending of temporary names/ },
  },
  {
    run: ['folder.create', { customer: 'acme', name: 'pain001', direction: 'deposit', settleSeconds: 5, reason }],
    does: {
      answer: {
        ...rules,
        settleSeconds: 5,
        replace: false,
        windowDays: null,
        readsMax: null,
        retentionDays: null,
        accounts: ['acme-batch', 'acme-clerk'],
      },
      added: {
        folder: [
          {
            id: '?',
            name: 'pain001',
            marker: '.done',
            direction: 'deposit',
            settle_ms: 5000,
            created_at: 'now',
            customer_id: 'acme',
            publish_rule: 'on-close',
            directories_allowed: true,
          },
        ],
        folder_right: ['acme-batch', 'acme-clerk'].map((account) => ({
          verbs: ['list', 'write'],
          folder_id: '?',
          account_id: account,
          customer_id: 'acme',
        })),
      },
      entries: [
        ...['acme-batch', 'acme-clerk'].map((account) => ({
          kind: 'account.rights-changed',
          public: { rights: [{ folder: 'pain001', before: [], after: ['list', 'write'] }] },
          sensitive: { by: 'both', reason },
          account_id: account,
          customer_id: 'acme',
        })),
        entry(
          'folder.created',
          'acme',
          { operator: 'both', accounts: ['acme-batch', 'acme-clerk'] },
          {
            public: {
              folder: 'pain001',
              direction: 'deposit',
              rules: { ...ofDeposit, settleSeconds: 5, readsMax: null, windowDays: null, retentionDays: null },
            },
          },
        ),
      ],
    },
  },
  {
    run: ['folder.create', { customer: 'acme', name: 'collect', direction: 'deposit', reason }],
    refused: { code: 'conflict', message: 'customer acme already has a folder collect' },
  },
  {
    run: ['folder.set', { ...collect, folder: 'none', readsMax: 1 }],
    refused: { code: 'not-found', message: 'customer acme has no folder none' },
  },
  {
    says: 'with what is below it',
    run: withdraw('twice.3'),
    does: {
      answer: {},
      changed: {
        'version acme:twice.2': { state: 'withdrawn', withdrawn_at: 'now', withdrawn_why: 'operator' },
        'version acme:twice.3': { state: 'withdrawn', withdrawn_at: 'now', withdrawn_why: 'operator' },
      },
      entries: [
        entry(
          'file.withdrawn',
          'acme',
          { operator: 'alice' },
          { public: { why: 'operator' }, version_id: 'acme:twice.2' },
        ),
        entry(
          'file.withdrawn',
          'acme',
          { operator: 'alice' },
          { public: { why: 'operator' }, version_id: 'acme:twice.3' },
        ),
      ],
    },
  },
  {
    says: 'below another one',
    run: withdraw('twice.2'),
    does: {
      answer: {},
      changed: { 'version acme:twice.2': { state: 'withdrawn', withdrawn_at: 'now', withdrawn_why: 'operator' } },
      entries: [
        entry(
          'file.withdrawn',
          'acme',
          { operator: 'alice' },
          { public: { why: 'operator' }, version_id: 'acme:twice.2' },
        ),
      ],
    },
  },
  {
    run: withdraw('once.1'),
    does: {
      answer: {},
      changed: { 'version acme:once.1': { state: 'withdrawn', withdrawn_at: 'now', withdrawn_why: 'operator' } },
      entries: [
        entry(
          'file.withdrawn',
          'acme',
          { operator: 'alice' },
          { public: { why: 'operator' }, version_id: 'acme:once.1' },
        ),
      ],
    },
  },
  { run: withdraw('gone.1'), refused: { code: 'conflict', message: 'the version is withdrawn, not published' } },
  {
    run: ['file.withdraw', { version: '00000000-0000-4000-8000-000000000000', reason }],
    refused: { code: 'not-found', message: 'there is no such version: see `cofferctl file list`' },
  },
  {
    prior: [done],
    run: reopen,
    does: {
      answer: {},
      gone: ['done_file acme-batch/acme:once.1'],
      entries: [
        entry('file.reopened', 'acme', { operator: 'alice' }, { version_id: 'acme:once.1', account_id: 'acme-batch' }),
      ],
    },
  },
  {
    run: reopen,
    refused: {
      code: 'conflict',
      message: 'account acme-batch is not done with this version: see `cofferctl file list`',
    },
  },
  { run: release('gone.1'), does: releasesGone },
  {
    says: 'the newest of its name',
    prior: [withdraw('twice.3')],
    run: release('twice.2', 90),
    does: {
      answer: { until: '+90d' },
      changed: {
        'version acme:twice.2': { state: 'published', withdrawn_at: null, withdrawn_why: null, released_until: '+90d' },
      },
      entries: [
        entry('file.released', 'acme', { operator: 'both' }, { public: { until: '+90d' }, version_id: 'acme:twice.2' }),
      ],
    },
  },
  {
    says: 'above one that was released',
    prior: [withdraw('twice.3'), release('twice.2')],
    run: release('twice.3', 1),
    does: {
      answer: { until: '+1d' },
      changed: {
        'version acme:twice.3': { state: 'published', withdrawn_at: null, withdrawn_why: null, released_until: '+1d' },
      },
      entries: [
        entry('file.released', 'acme', { operator: 'both' }, { public: { until: '+1d' }, version_id: 'acme:twice.3' }),
      ],
    },
  },
  {
    says: 'where a directory of its name was removed',
    prior: [directory, removed],
    run: release('gone.1'),
    does: releasesGone,
  },
  {
    prior: [directory, moved, removed],
    run: release('gone.1'),
    refused: { code: 'conflict', message: /^its directory was removed/ },
  },
  { run: release('twice.1'), refused: { code: 'conflict', message: /^a newer version of this file is published/ } },
  { run: release('once.1'), refused: { code: 'conflict', message: 'the version is published, not withdrawn' } },
  { run: release('lost.1'), refused: { code: 'conflict', message: /^the key of this version was destroyed/ } },
  {
    prior: [directory],
    run: release('gone.1'),
    refused: { code: 'conflict', message: /^a directory has its name now/ },
  },
];
