// Owns: making the programs of libraries that this machine can build or install: each in a directory of the run, once,
// within a bounded time. Nothing else of the repository needs them.
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Done, run } from '../support/world.ts';

/** A client that cannot be had on this machine, and why, in words. */
export class LeftOut extends Error {}

/** One step: a download from a registry, or a build. */
const stepMs = 240_000;

async function step(program: string, args: readonly string[], cwd: string, env = {}): Promise<Done> {
  const done = await run(program, args, { cwd, timeoutMs: stepMs, env }).catch(() => undefined);
  if (done === undefined) throw new LeftOut(`there is no ${program} here`);
  if (done.code !== 0) {
    const [said = ''] = `${done.err}\n${done.out}`.trim().split('\n').slice(-1);
    throw new LeftOut(`${program} ${args[0]} ended with ${done.code ?? 'a time-out'}: ${said.slice(0, 200)}`);
  }
  return done;
}

/** Begins once, when somebody needs it first, and remembers how it ended. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

function emptyPlace(directory: string, name: string): string {
  const place = join(directory, name);
  mkdirSync(place, { recursive: true });
  return place;
}
const here = (name: string): string => join(import.meta.dirname, name);

/** The libraries for Java, and the versions that were tried. */
export const javaLibraries = [
  ['com.github.mwiede', 'jsch', '2.28.8'],
  ['org.apache.sshd', 'sshd-sftp', '2.20.0'],
  ['com.hierynomus', 'sshj', '0.40.0'],
  ['org.slf4j', 'slf4j-nop', '2.0.17'],
] as const;

/** Returns the class path of the three programs in Java. */
export const javaPrograms = (directory: string): (() => Promise<string>) =>
  once(async () => {
    const place = emptyPlace(directory, 'java');
    const dependencies = javaLibraries.map(
      ([group, artifact, version]) =>
        `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
    );
    writeFileSync(
      join(place, 'pom.xml'),
      `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>interop</groupId><artifactId>interop</artifactId><version>1</version><dependencies>${dependencies.join('')}</dependencies></project>`,
    );
    await step('javac', ['-version'], place);
    await step('mvn', ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=jars'], place);
    const sources = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.java'));
    const classes = `${join(place, 'classes')}:${join(place, 'jars')}/*`;
    await step('javac', ['-nowarn', '-cp', classes, '-d', join(place, 'classes'), ...sources.map(here)], place);
    return classes;
  });

export const goVersions = { sftp: 'v1.13.12', crypto: 'v0.59.0' } as const;

/** Returns the path of the program in Go. */
export const goProgram = (directory: string): (() => Promise<string>) =>
  once(async () => {
    const place = emptyPlace(directory, 'go');
    copyFileSync(here('with-pkg-sftp.go'), join(place, 'main.go'));
    writeFileSync(join(place, 'go.mod'), 'module interop\n\ngo 1.21\n');
    const modules = [`github.com/pkg/sftp@${goVersions.sftp}`, `golang.org/x/crypto@${goVersions.crypto}`];
    await step('go', ['get', ...modules], place, { GOFLAGS: '-mod=mod' });
    await step('go', ['build', '-o', 'program', '.'], place, { GOFLAGS: '-mod=mod' });
    return join(place, 'program');
  });

export const nodeVersion = '12.1.1';

/** Returns the directory in which ssh2-sftp-client is. */
export const nodeLibrary = (directory: string): (() => Promise<string>) =>
  once(async () => {
    const place = emptyPlace(directory, 'node');
    writeFileSync(join(place, 'package.json'), '{"private":true}\n');
    const quietly = ['--silent', '--no-audit', '--no-fund', '--ignore-scripts'];
    await step('npm', ['install', ...quietly, `ssh2-sftp-client@${nodeVersion}`], place);
    return place;
  });

/** Returns the python3 of an environment with the newest paramiko and asyncssh. */
export const pythonLibraries = (directory: string): (() => Promise<string>) =>
  once(async () => {
    const place = emptyPlace(directory, 'python');
    await step('python3', ['-m', 'venv', 'venv'], place);
    await step('venv/bin/pip', ['install', '-q', '--disable-pip-version-check', 'paramiko', 'asyncssh'], place);
    return join(place, 'venv', 'bin', 'python3');
  });

/** Returns the path of the program with libssh. */
export const libsshProgram = (directory: string): (() => Promise<string>) =>
  once(async () => {
    if (!existsSync('/usr/include/libssh/libssh.h')) throw new LeftOut("there is no libssh-dev of Debian's here");
    const place = emptyPlace(directory, 'c');
    await step('gcc', ['-O1', '-o', 'program', here('with-libssh.c'), '-lssh'], place);
    return join(place, 'program');
  });
