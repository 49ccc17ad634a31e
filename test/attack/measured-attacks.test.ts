// T-17, T-18: every attack that was measured on stock ssh2: the connection ends or is held back, nobody waits, memory
// stays bounded, and a transfer beside it is whole.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { type Attack, afterLogin, beforeLogin, type Target } from '../support/attacks.ts';
import { harmOf, memoryOf } from '../support/stall.ts';
import { freePorts, project, startWorld } from '../support/world.ts';

const stallMsMax = 1000;
const grownBytesMax = 100 * 2 ** 20;

test('against the gateway no measured attack has its effect', async (t) => {
  const world = await startWorld(t);
  const key = (name: string): string => readFileSync(world.keyFile(name), 'utf8');
  const target: Target = {
    port: world.demo.partner.port,
    account: 'globex-batch',
    key: key('globex-batch'),
    person: { account: 'globex', key: key('globex') },
    // Its penalties are its own: others come from 127.0.0.1.
    localAddress: '127.0.0.1',
  };
  const [pid] = world.pidsOf('partner-1');
  if (pid === undefined) throw new Error('no edge');
  const local = join(world.directory, 'good');
  writeFileSync(local, randomBytes(4_000_000));
  t.equal((await world.sftp('acme-batch', [`put ${local} deposit/warm`])).code, 0);
  t.equal((await world.sftp('processor', [`put ${local} globex/collect/flood`])).code, 0);
  const start = memoryOf(pid);
  let worstStall = 0;
  for (const [i, attack] of [...beforeLogin, ...afterLogin].entries()) {
    const good = world.sftp('acme-batch', [`put ${local} deposit/good-${i}`, `ls -l deposit/good-${i}`]);
    const harm = await harmOf(target.port, pid, () => attack.run(target));
    const done = await good;
    worstStall = Math.max(worstStall, harm.stallMs);
    t.comment(
      `${attack.name}: longest wait ${harm.stallMs} ms, memory ${Math.round(harm.grownBytes / 2 ** 20)} MiB more`,
    );
    t.equal(harm.result, attack.expect === 'ended', `${attack.name}: ${attack.expect}`);
    t.ok(harm.stallMs < stallMsMax, 'nobody waits');
    t.ok(harm.grownBytes < grownBytesMax, 'memory stays');
    t.ok(done.code === 0 && done.out.includes('4000000'), 'a transfer beside it is whole');
    t.equal(world.pidsOf('partner-1')[0], pid, 'the same process');
  }
  t.comment(
    `longest wait of all: ${worstStall} ms; memory in all: ${Math.round((memoryOf(pid) - start) / 2 ** 20)} MiB more`,
  );
  t.notMatch(world.log, /"level":(?:50|60)/, 'nothing was logged as an error');
});

test('the same scripts against a plain server on stock ssh2 have their effect', async (t) => {
  const [port = 0] = await freePorts(1);
  const keys = join(project, 'test', 'support', 'stock-server.ts');
  const biting = [
    ...beforeLogin.filter(({ name }) => /^[24] /.test(name)),
    ...afterLogin.filter(({ name }) => /^15 |^21 reads/.test(name)),
  ] satisfies readonly Attack[];
  for (const attack of biting) {
    const child = spawn(process.execPath, [keys, String(port)], { stdio: ['ignore', 'pipe', 'ignore'] });
    const userKey = await new Promise<string>((resolve) => {
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8');
        if (text.includes('END OPENSSH PRIVATE KEY')) resolve(text);
      });
    });
    const over = setTimeout(() => child.kill('SIGKILL'), 15_000);
    const target: Target = { port, account: 'x', key: userKey, localAddress: '127.0.0.1' };
    const harm = await harmOf(port, child.pid ?? 0, () => attack.run(target));
    const isDown = child.exitCode !== null || child.signalCode !== null;
    clearTimeout(over);
    child.kill('SIGKILL');
    const grown = Math.round(harm.grownBytes / 2 ** 20);
    t.ok(
      isDown ||
        harm.stallMs >= stallMsMax ||
        harm.grownBytes >= grownBytesMax ||
        harm.result !== (attack.expect === 'ended'),
      `${attack.name}: ${isDown ? 'the server is down' : `longest wait ${harm.stallMs} ms, ${grown} MiB more, ${harm.result}`}`,
    );
  }
});
