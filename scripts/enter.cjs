'use strict';
// Owns: running a command with the locked Node.js first in PATH. When root starts it and other users cannot reach the
// clone, it lets others pass the clone's own directory (o+x); when a directory above is closed, it runs the command in
// a private mount of the clone. Otherwise the system users of the gateway's processes could not execute the program.
const { spawnSync, spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const root = path.dirname(__dirname);
const [command, ...args] = process.argv.slice(2);

function fail(text) {
  process.stderr.write(`cofferdam: ${text}\n`);
  process.exit(78);
}

/** Returns the first directory, from the clone upwards, that other users may not pass; undefined when there is none. */
function closedAncestor() {
  for (let at = root; at !== '/'; at = path.dirname(at)) if ((fs.statSync(at).mode & 0o001) === 0) return at;
  return undefined;
}

function privateMount(closed) {
  const mountPoint = path.join('/run/cofferdam', createHash('sha256').update(root).digest('hex').slice(0, 12));
  fs.mkdirSync(mountPoint, { recursive: true, mode: 0o755 });
  fs.chmodSync('/run/cofferdam', 0o755);
  if (closed === root) {
    process.stderr.write(
      `cofferdam: opening this folder for passing (chmod o+x ${root}): the gateway's own system users must reach the program\n`,
    );
    fs.chmodSync(root, fs.statSync(root).mode | 0o001);
    const above = closedAncestor();
    return above === undefined ? [] : privateMount(above);
  }
  const can = spawnSync('unshare', ['--mount', '--propagation', 'private', 'mount', '--bind', root, mountPoint], {
    encoding: 'utf8',
  });
  if (can.status !== 0)
    fail(
      `other users cannot pass ${closed}, so the gateway's own system users cannot reach this clone, and a private mount is not allowed here (${(can.stderr || String(can.error)).trim()}).\n` +
        `  Open the way with: chmod o+x ${closed}\n  or start as an ordinary user.`,
    );
  return [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    'mount --bind "$1" "$2" && mount -o remount,bind,nosuid "$2" && cd "$2" && shift 2 && exec "$@"',
    'sh',
    root,
    mountPoint,
  ];
}

if (command === undefined) fail('usage: node scripts/enter.cjs COMMAND [ARGUMENT ...]');
const isRoot = process.getuid() === 0;
const closed = isRoot ? closedAncestor() : undefined;
const env = { ...process.env, PATH: `${path.join(root, 'node_modules', '.bin')}:${process.env.PATH}` };
const prefix = closed === undefined ? [] : privateMount(closed);
if (prefix.length > 0) env.PATH = `${path.join(prefix[prefix.length - 1], 'node_modules', '.bin')}:${process.env.PATH}`;
const [program, ...rest] = [...prefix, command, ...args];
const child = spawn(program, rest, { stdio: 'inherit', env, cwd: root });
// Every signal is passed on. The terminal sends its signals to the whole process group, so one from there reaches the
// child twice.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => fail(`${program} cannot be run: ${error.message}`));
child.on('exit', (code, signal) =>
  process.exit(signal === null ? code : 128 + require('node:os').constants.signals[signal]),
);
