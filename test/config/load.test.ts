import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { temporaryDirectory } from '../support/database.ts';

const base = { env: {}, isRoot: false, isTerminal: false, projectDirectory: '/srv/x', file: undefined };

test('without a file: the demo world on loopback, frozen', async (t) => {
  const config = loadConfig(base);
  t.ok(config.demo);
  t.same(
    config.edges.map((edge) => `${edge.plane} ${edge.host}:${edge.port}`),
    ['partner 127.0.0.1:2022', 'internal 127.0.0.1:2023'],
  );
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.limits) && Object.isFrozen(config.edges[0]));
});

test('all faults are reported together', async (t) => {
  t.throws(
    () =>
      loadConfig({
        ...base,
        env: {
          COFFERDAM_PARTNER_PORT: '99999',
          COFFERDAM_INTERNAL_PORT: 'x',
          COFFERDAM_HOST: '0.0.0.0',
          COFFERDAM_LOG_LEVEL: 'loud',
          COFFERDAM_LIMITS: '{"no":1}',
        },
      }),
    {
      code: 'configuration',
      message:
        /COFFERDAM_LOG_LEVEL[\s\S]*COFFERDAM_PARTNER_PORT[\s\S]*COFFERDAM_INTERNAL_PORT[\s\S]*COFFERDAM_LIMITS[\s\S]*loopback only, not on 0\.0\.0\.0/,
    },
  );
  for (const host of ['0.0.0.0', '::', '192.168.1.1', 'localhost', 'example.com'])
    t.throws(() => loadConfig({ ...base, env: { COFFERDAM_HOST: host } }), { message: /loopback only/ }, `demo on ${host}`);
  t.throws(() => loadConfig({ ...base, env: { COFFERDAM_PARTNER_PORT: '2023' } }), { message: /same address/ });
  t.throws(() => loadConfig({ ...base, env: { COFFERDAM_VAR: `/${'x'.repeat(120)}` } }), { message: /longer than 107 bytes/ });
});

test('files: unknown keys, wrong values and unsafe production are faults', async (t) => {
  const directory = temporaryDirectory(t);
  const load = (content: unknown, isRoot = false): Config => {
    const file = join(directory, 'c.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return loadConfig({ ...base, isRoot, file });
  };
  const good = { mode: 'development', runtimeDirectory: '/srv/c', edges: [{ node: 'p', plane: 'partner', host: '10.0.0.1', port: 22 }] };
  t.notOk(load(good).demo, 'a file never makes a demo world');
  t.equal(load({ ...good, limits: { loginGraceMs: 5 } }).limits.loginGraceMs, 5);
  t.throws(() => load({ ...good, demo: true }), { code: 'configuration' }, 'not even when it asks for one');
  t.throws(() => load({ ...good, surprise: 1, edges: [{ ...good.edges[0], port: -1, plane: 'public' }] }), {
    message: /surprise[\s\S]*|edges/,
  });
  t.throws(() => load({ ...good, runtimeDirectory: 'relative' }), { message: /absolute/ });
  t.throws(() => load('{'), { message: /JSON/ });
  t.throws(() => loadConfig({ ...base, file: join(directory, 'missing.json') }), { code: 'configuration' });
  t.throws(() => load({ ...good, mode: 'production' }, true), { message: /one system user per role/ });
  const shared = { partnerEdge: 'a', internalEdge: 'a', warden: 'b', admin: 'c', database: 'd' };
  t.throws(() => load({ ...good, mode: 'production', users: shared }, true), { message: /may not share/ });
  t.throws(() => load({ ...good, mode: 'production', users: { ...shared, internalEdge: 'e' }, database: { embedded: true } }, true), {
    message: /server of its own/,
  });
  t.equal(load({ ...good, mode: 'production', users: { ...shared, internalEdge: 'e' } }, true).mode, 'production');
});
