// Owns: the text that a person reads when everything has started.
import { join, relative } from 'node:path';
import type { Config } from '../config/config.ts';

type Facts = { readonly adminSocket: string; readonly isShared: boolean; readonly closed: string | undefined };

/** Returns a text in the quoting that a shell needs. */
const quoted = (text: string): string => (/^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function greeting(config: Config, projectDirectory: string, { adminSocket, isShared, closed }: Facts): string {
  const name = (plane: string): string =>
    plane === 'partner' ? 'banks (partner plane)' : 'own systems (internal plane)';
  const first =
    closed === undefined
      ? ['Cofferdam serves.']
      : [`Cofferdam is running but serves nobody: ${closed}.`, 'What to do: cofferctl ledger status'];
  const lines = ['', ...first, ''];
  for (const edge of config.edges) lines.push(`  SFTP for ${name(edge.plane)}:  ${edge.host}:${edge.port}`);
  const { tcp } = config.admin;
  const address = tcp === null ? '' : ` and ${tcp.host.includes(':') ? `[${tcp.host}]` : tcp.host}:${tcp.port}`;
  lines.push(`  Operators:  unix socket ${relative(projectDirectory, adminSocket)}${address}`, '');
  const partner = config.edges.find((edge) => edge.plane === 'partner');
  if (config.demo && partner !== undefined) {
    const isUsual = config.runtimeDirectory === join(projectDirectory, 'var');
    const runtime = isUsual ? 'var' : config.runtimeDirectory;
    // A command that is typed from this text must reach this installation and not the one in the default directory.
    const where = isUsual ? '' : `COFFERDAM_VAR=${quoted(runtime)} `;
    lines.push(
      'Try it, in another terminal in this folder:',
      `  sftp -P ${partner.port} -i ${quoted(`${runtime}/demo/keys/acme`)} -o IdentitiesOnly=yes -o UserKnownHostsFile=${quoted(`${runtime}/demo/known_hosts`)} acme@${partner.host}`,
      `  ${where}npm run --silent otp -- acme            the code it asks for`,
      `  ${where}npm run --silent cofferctl -- status    what an operator sees`,
      '',
    );
  }
  if (isShared)
    lines.push('All roles share one system user here: fine for a first look, refused outside development.', '');
  lines.push('Ctrl-C drains and stops everything.', '');
  return `${lines.join('\n')}\n`;
}
