// The connection string of one process: who may read it, and where it may lead.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { roleUrl } from '../../server/postgres/role-url.ts';
import { temporaryDirectory } from '../support/database.ts';

test("a role's own connection string is closed to others, and leads to another machine only with a verified name", async (t) => {
  const config = loadConfig({
    file: undefined,
    env: { COFFERDAM_VAR: join(temporaryDirectory(t), 'var') },
    isRoot: false,
    isTerminal: false,
    projectDirectory: '/',
  });
  const path = runtimePaths(config).wardenDatabaseUrl;
  mkdirSync(dirname(path), { recursive: true });
  const put = (url: string, mode: number): void => {
    writeFileSync(path, `${url}\n`);
    chmodSync(path, mode);
  };
  const local = 'postgresql://u:secret@localhost/c';
  for (const mode of [0o400, 0o600]) {
    put(local, mode);
    t.equal(roleUrl(config, 'warden'), local, mode.toString(8));
    chmodSync(path, 0o600);
  }
  const remote = 'postgresql://u:secret@db.example/c?sslmode=verify-full';
  put(remote, 0o600);
  t.equal(roleUrl(config, 'warden'), remote);
  for (const mode of [0o640, 0o604, 0o644]) {
    put(local, mode);
    t.throws(
      () => roleUrl(config, 'warden'),
      { code: 'configuration', message: /may be read by others/ },
      mode.toString(8),
    );
  }
  put('postgresql://u:secret@db.example/c', 0o600);
  t.throws(() => roleUrl(config, 'warden'), { code: 'configuration', message: /another machine: sslmode=verify-full/ });
});
