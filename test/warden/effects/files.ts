// What each operation on folders, files and holds does, and to whom.
import type { Case } from '../../support/verb-effects.ts';
import { entry, reason } from './words.ts';

const collect = { customer: 'acme', folder: 'collect', reason } as const;
const withdraw = (version: string) => ['file.withdraw', { version: `<acme:${version}>`, reason }] as const;
const release = (version: string, days = 3) =>
  ['file.release', { version: `<acme:${version}>`, days, reason }] as const;
const held = ['hold.place', { customer: 'acme', reason }] as const;

export const fileCases: readonly Case[] = [
  {
    says: 'narrower',
    run: ['folder.set', { ...collect, windowDays: 20, readsMax: 2, retentionDays: 90 }],
    does: {
      answer: { windowDays: 20, readsMax: 2, retentionDays: 90 },
      changed: { 'folder acme/collect': { reads_max: 2, window_days: 20, retention_days: 90 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { reads: 2, window: 20, retention: 90 },
              before: { reads: null, window: 30, retention: 60 },
              folder: 'collect',
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
      answer: { windowDays: 31, readsMax: null, retentionDays: 60 },
      widened: ['the window of collect'],
      changed: { 'folder acme/collect': { window_days: 31 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { reads: null, window: 31, retention: 60 },
              before: { reads: null, window: 30, retention: 60 },
              folder: 'collect',
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
      answer: { windowDays: null, readsMax: null, retentionDays: 60 },
      widened: ['the window of collect'],
      changed: { 'folder acme/collect': { window_days: null } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { reads: null, window: null, retention: 60 },
              before: { reads: null, window: 30, retention: 60 },
              folder: 'collect',
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
      answer: { windowDays: 30, readsMax: 3, retentionDays: 60 },
      widened: ['the reads of collect'],
      changed: { 'folder acme/collect': { reads_max: 3 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { reads: 3, window: 30, retention: 60 },
              before: { reads: 2, window: 30, retention: 60 },
              folder: 'collect',
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
      answer: { windowDays: 30, readsMax: null, retentionDays: 60 },
      widened: ['the reads of collect'],
      changed: { 'folder acme/collect': { reads_max: null } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { reads: null, window: 30, retention: 60 },
              before: { reads: 2, window: 30, retention: 60 },
              folder: 'collect',
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
      answer: { windowDays: 30, readsMax: null, retentionDays: 30 },
      widened: ['what is destroyed sooner in collect'],
      changed: { 'folder acme/collect': { retention_days: 30 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { reads: null, window: 30, retention: 30 },
              before: { reads: null, window: 30, retention: 60 },
              folder: 'collect',
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
      answer: { windowDays: 30, readsMax: null, retentionDays: null },
      changed: { 'folder acme/collect': { retention_days: null } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { reads: null, window: 30, retention: null },
              before: { reads: null, window: 30, retention: 60 },
              folder: 'collect',
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
      answer: { windowDays: null, readsMax: null, retentionDays: 30 },
      widened: ['what is destroyed sooner in deposit'],
      changed: { 'folder acme/deposit': { retention_days: 30 } },
      entries: [
        entry(
          'folder.changed',
          'acme',
          { operator: 'both' },
          {
            public: {
              after: { reads: null, window: null, retention: 30 },
              before: { reads: null, window: null, retention: null },
              folder: 'deposit',
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
    run: release('gone.1'),
    does: {
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
    },
  },
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
  { run: release('twice.1'), refused: { code: 'conflict', message: /^a newer version of this file is published/ } },
  { run: release('once.1'), refused: { code: 'conflict', message: 'the version is published, not withdrawn' } },
  { run: release('lost.1'), refused: { code: 'conflict', message: /^the key of this version was destroyed/ } },
  {
    prior: [
      "insert into directory (id, customer_id, folder_id, parent_id, name) select gen_random_uuid(), customer_id, folder_id, null, name from file where name = 'gone'",
    ],
    run: release('gone.1'),
    refused: { code: 'conflict', message: /^a directory has its name now/ },
  },
  {
    run: held,
    does: {
      answer: { hold: '?' },
      added: { legal_hold: [{ id: '?', reason, placed_at: 'now', placed_by: 'alice', customer_id: 'acme' }] },
      entries: [
        entry('hold.placed', 'acme', { operator: 'alice' }, { public: { hold: '?', folder: null, version: null } }),
      ],
    },
  },
  {
    says: 'a folder',
    run: ['hold.place', { customer: 'acme', folder: 'deposit', reason }],
    does: {
      answer: { hold: '?' },
      added: {
        legal_hold: [
          { id: '?', reason, folder_id: 'acme/deposit', placed_at: 'now', placed_by: 'alice', customer_id: 'acme' },
        ],
      },
      entries: [
        entry(
          'hold.placed',
          'acme',
          { operator: 'alice' },
          { public: { hold: '?', folder: 'deposit', version: null } },
        ),
      ],
    },
  },
  {
    says: 'a version',
    run: ['hold.place', { customer: 'acme', version: '<acme:gone.1>', reason }],
    does: {
      answer: { hold: '?' },
      added: {
        legal_hold: [
          { id: '?', reason, placed_at: 'now', placed_by: 'alice', version_id: 'acme:gone.1', customer_id: 'acme' },
        ],
      },
      entries: [
        entry(
          'hold.placed',
          'acme',
          { operator: 'alice' },
          { public: { hold: '?', folder: null, version: 'acme:gone.1' } },
        ),
      ],
    },
  },
  {
    run: ['hold.place', { customer: 'acme', folder: 'deposit', version: '<acme:gone.1>', reason }],
    refused: { code: 'invalid', message: 'name a folder or a version, not both' },
  },
  {
    run: ['hold.place', { customer: 'acme', version: '<acme-2:gone.1>', reason }],
    refused: { code: 'not-found', message: 'customer acme has no such version' },
  },
  {
    run: ['hold.place', { customer: 'acme', version: '<acme:lost.1>', reason }],
    refused: { code: 'conflict', message: 'the key of this version is already destroyed' },
  },
  {
    run: ['hold.place', { customer: 'none', reason }],
    refused: { code: 'not-found', message: 'there is no customer named none' },
  },
  {
    run: ['hold.lift', { hold: '<acme hold>', reason }],
    does: {
      answer: {},
      changed: { 'legal_hold acme hold': { lifted_at: 'now', lifted_by: 'both' } },
      entries: [entry('hold.lifted', 'acme', { operator: 'both' }, { public: { hold: 'acme hold' } })],
    },
  },
  {
    prior: [['hold.lift', { hold: '<acme hold>', reason }]],
    run: ['hold.lift', { hold: '<acme hold>', reason }],
    refused: { code: 'not-found', message: 'there is no such hold, or it was lifted before' },
  },
];
