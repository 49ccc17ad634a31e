// Owns: our side of the comparison: a whole gateway with the demo world, whose budgets are as wide as they can be.
import { wideAllowancesEnv, wideBudgetsEnv } from '../../test/support/bank.ts';
import type { Teardown } from '../../test/support/temporary-directory.ts';
import { startWorld } from '../../test/support/world.ts';
import { CpuMeter } from './cpu-meter.ts';
import { SftpClient } from './sftp-client.ts';
import { cipher, type Side } from './side.ts';

/** How many sessions of our own system fill a folder at the same time. */
const fillersMax = 16;

/** Starts the gateway. Returns our side, and the directory of the gateway. */
export async function startCofferdam(t: Teardown): Promise<{ readonly side: Side; readonly directory: string }> {
  const cpu = new CpuMeter('cofferdam');
  const world = await startWorld(t, { env: { ...wideBudgetsEnv, ...wideAllowancesEnv }, within: cpu.prefix });
  cpu.pid = world.pid;
  const argsOf = (account: string): readonly string[] => {
    const args = world.sftpArguments(account);
    return [...args.slice(0, -1), '-c', cipher, args.at(-1) ?? ''];
  };
  const inSession = async (lines: readonly string[]): Promise<void> => {
    const client = await SftpClient.open(argsOf('processor'));
    for (const line of lines) await client.do(line);
    await client.close();
  };
  const fill = async (name: string, directories: readonly string[]): Promise<void> => {
    await inSession([`mkdir acme/collect/${name}`]);
    for (let i = 0; i < directories.length; i += fillersMax)
      await Promise.all(
        directories.slice(i, i + fillersMax).map((one) => inSession([`put ${one}/* acme/collect/${name}/`])),
      );
  };
  const side: Side = {
    name: 'cofferdam',
    title: 'Cofferdam',
    args: argsOf('acme-batch'),
    deposit: 'deposit/',
    collect: 'collect/',
    cpu,
    fill,
    clear: () => {},
    stop: async () => {
      await world.stop();
      cpu.remove();
    },
  };
  return { side, directory: world.directory };
}
