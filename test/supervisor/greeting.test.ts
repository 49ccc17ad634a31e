// The commands that a person reads first can be typed as they stand.
import { test } from 'tap';
import type { Config } from '../../server/config/config.ts';
import { loadConfig } from '../../server/config/load.ts';
import { greeting } from '../../server/supervisor/greeting.ts';

const project = '/opt/cofferdam';
const demo = (env: Readonly<Record<string, string>>): Config =>
  loadConfig({ file: undefined, env, isRoot: true, isTerminal: false, projectDirectory: project });
const said = (config: Config): string =>
  greeting(config, project, {
    adminSocket: `${config.runtimeDirectory}/run/admin/admin.sock`,
    isShared: false,
    closed: undefined,
  });

test('the commands of the greeting address the installation that greets', async (t) => {
  t.match(
    said(demo({})),
    /^ {2}npm run --silent otp -- acme {2,}\S/m,
    'where everything is as usual there is nothing to add',
  );
  t.match(said(demo({})), / -i var\/demo\/keys\/acme /);
  const elsewhere = said(demo({ COFFERDAM_VAR: '/tmp/my first try' }));
  t.match(elsewhere, /^ {2}COFFERDAM_VAR='\/tmp\/my first try' npm run --silent otp -- acme {2,}\S/m);
  t.match(elsewhere, /^ {2}COFFERDAM_VAR='\/tmp\/my first try' npm run --silent cofferctl -- status {2,}\S/m);
  t.match(elsewhere, / -i '\/tmp\/my first try\/demo\/keys\/acme' /);
  t.match(elsewhere, / -o UserKnownHostsFile='\/tmp\/my first try\/demo\/known_hosts' /);
});
