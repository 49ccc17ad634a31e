'use strict';
// Owns: the Debian packages that the tests use: real clients, a real database server, a real syslog receiver. When run
// by root it installs them; for other users it prints the command. This is plain JavaScript for Node.js 20. `--all`
// adds the packages that `npm run interop` and a whole check need.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');

const inPath = (program) => (process.env.PATH ?? '').split(':').some((folder) => fs.existsSync(`${folder}/${program}`));
const hasServer = () => {
  const base = '/usr/lib/postgresql';
  return fs.existsSync(base) && fs.readdirSync(base).some((version) => fs.existsSync(`${base}/${version}/bin/initdb`));
};
const hasModule = (name) => spawnSync('/usr/bin/python3', ['-c', `import ${name}`]).status === 0;
const hasClock = () =>
  ['x86_64', 'aarch64'].some((machine) => fs.existsSync(`/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`));

/** Each row is the name of a package and a function that returns whether the part of it that the tests use is there. */
const forTests = [
  ['openssh-client', () => inPath('sftp')],
  ['openssl', () => inPath('openssl')],
  ['iproute2', () => inPath('ip')],
  ['postgresql-client', () => inPath('psql')],
  ['postgresql', hasServer],
  ['faketime', hasClock],
  ['rsyslog', () => fs.existsSync('/usr/sbin/rsyslogd')],
];
const forAll = [
  ...['lftp', 'curl', 'rclone', 'sshfs', 'ssh-audit', 'debootstrap'].map((name) => [name, () => inPath(name)]),
  ['putty-tools', () => inPath('psftp')],
  ...['paramiko', 'asyncssh'].map((name) => [`python3-${name}`, () => hasModule(name)]),
];

const wanted = process.argv.includes('--all') ? [...forTests, ...forAll] : forTests;
const missing = wanted.filter(([, isThere]) => !isThere()).map(([name]) => name);
if (missing.length > 0) {
  if (process.getuid() !== 0 || !inPath('apt-get')) {
    process.stderr.write(
      `cofferdam: the tests drive programs that are not here\n  sudo apt-get install --no-install-recommends ${missing.join(' ')}\n`,
    );
    process.exit(78);
  }
  process.stdout.write(`cofferdam: installing Debian's packages that the tests drive, once: ${missing.join(' ')}\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', ...missing],
  ]) {
    const done = spawnSync('apt-get', args, { env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
    if (done.status === 0) continue;
    process.stderr.write(
      `${done.stdout ?? ''}${done.stderr ?? ''}cofferdam: apt-get ${args[0]} failed; the output above says why\n`,
    );
    process.exit(78);
  }
}
