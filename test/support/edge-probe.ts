// Owns: what a test does from inside a running edge process. Loaded with `--import`, it waits for the role, tries
// everything that must fail, and prints what happened. Started as a program of its own, it becomes the edge's user and
// tries the same without Node's permission model.

import {
  appendFileSync,
  chmodSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import { become } from './become.ts';

type Facts = {
  readonly objects: string;
  /** Every directory of the installation. */
  readonly directories: readonly string[];
  readonly secrets: readonly string[];
  /** Sockets of others, and the two of its own. */
  readonly sockets: readonly string[];
  readonly ownSockets: readonly string[];
  /** A sealed object, in the same directory as it stands. */
  readonly object: string;
  readonly postgres: string;
  /** The code that loads the code of a role. */
  readonly hook: string;
  /** The user that the program of its own becomes. */
  readonly user: string;
};

const tries: Record<string, string> = {};

function attempt(name: string, work: () => unknown): void {
  try {
    work();
    tries[name] = 'possible';
  } catch (error) {
    tries[name] = `refused ${error instanceof Error && 'code' in error ? String(error.code) : String(error)}`;
  }
}

/** Neither refused nor answered: a probe with this result counts as no refusal. */
const silentMs = 20_000;

function reach(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve('possible');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(`refused ${error.code}`));
    socket.setTimeout(silentMs, () => {
      socket.destroy();
      resolve('silent');
    });
  });
}

/** PostgreSQL's answer to the start-up packet of a role without a password. */
function askPostgres(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const body = Buffer.from('user\0cofferdam_warden\0database\0cofferdam\0\0');
    const head = Buffer.alloc(8);
    head.writeUInt32BE(8 + body.length, 0);
    head.writeUInt32BE(196_608, 4);
    socket.on('connect', () => socket.write(Buffer.concat([head, body])));
    socket.on('data', (chunk: Buffer) => {
      socket.destroy();
      // 'R' with 0 would mean that the login succeeded; 10 asks for a SCRAM proof that nobody here can give.
      resolve(
        chunk[0] === 0x52 && chunk.readUInt32BE(5) === 0
          ? 'possible'
          : `refused: asks for ${chunk[0] === 0x52 ? `proof ${chunk.readUInt32BE(5)}` : 'nothing it would accept'}`,
      );
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(`refused ${error.code}`));
    socket.setTimeout(silentMs, () => {
      socket.destroy();
      resolve('silent');
    });
  });
}

async function probe(facts: Facts): Promise<void> {
  const require = createRequire(import.meta.url);
  const { spawnSync, fork } = require('node:child_process') as typeof import('node:child_process');
  attempt('start a program', () => {
    const done = spawnSync('/bin/true');
    if (done.error !== undefined) throw done.error;
  });
  attempt('fork', () => void fork('/dev/null'));
  for (const path of facts.secrets) attempt(`read ${path}`, () => readFileSync(path));
  attempt('list the secrets', () => readdirSync(facts.secrets[0]?.replace(/\/[^/]+$/, '') ?? '/'));
  attempt('overwrite a sealed object', () => writeFileSync(facts.object, 'x'));
  attempt('append to a sealed object', () => appendFileSync(facts.object, 'x'));
  attempt('make it writable', () => chmodSync(facts.object, 0o666));
  attempt('delete a sealed object', () => rmSync(facts.object));
  attempt('rename a sealed object', () => renameSync(facts.object, `${facts.object}.stolen`));
  attempt('give a sealed object another name', () => linkSync(facts.object, `${facts.object}.again`));
  attempt('add an object', () => writeFileSync(`${facts.objects}/00/${'0'.repeat(32)}`, 'x'));
  attempt('add an object beside another', () => writeFileSync(join(facts.object, '..', '0'.repeat(32)), 'x'));
  attempt('add an unfinished object', () => writeFileSync(`${facts.objects}/new/${'0'.repeat(32)}`, 'x'));
  for (const path of facts.directories) attempt(`write in ${path}`, () => writeFileSync(`${path}/x`, 'x'));
  for (const path of [...facts.sockets, ...facts.ownSockets]) attempt(`delete ${path}`, () => rmSync(path));
  attempt('change what loads its code', () => appendFileSync(facts.hook, ''));
  attempt('add to the code that it loads', () =>
    writeFileSync(join(facts.hook, '..', '..', 'node_modules', '.cofferdam-stripped', 'x'), ''),
  );
  attempt('write to /tmp', () => {
    const path = `/tmp/cofferdam-edge-was-here-${process.pid}`;
    writeFileSync(path, 'x', { flag: 'wx' });
    rmSync(path);
  });
  attempt('read a sealed object', () => void openSync(facts.object, 'r'));
  for (const path of [...facts.sockets, ...facts.ownSockets]) tries[`reach ${path}`] = await reach(path);
  tries['open a database session'] = await askPostgres(facts.postgres);
  const cached = Object.keys(require.cache).filter((path) => /node_modules\/(pg|otplib|@node-rs)\//.test(path));
  const { isBuiltin } = require('node:module') as { isBuiltin(name: string): boolean };
  process.stdout.write(
    `PROBE ${JSON.stringify({ tries, cached, uid: process.getuid?.(), execArgv: process.execArgv, isNode: isBuiltin('fs'), env: Object.keys(process.env).sort() })}\n`,
  );
  process.exit(0);
}

const facts = process.env.COFFERDAM_PROBE;
// The edge says `ready` on its channel when it serves. Here there is no channel, so its first log line tells.
if (facts !== undefined && process.argv[1]?.endsWith('main.ts')) {
  delete process.env.COFFERDAM_PROBE;
  setTimeout(() => void probe(JSON.parse(facts) as Facts), 1500);
} else if (facts !== undefined && process.argv[1]?.endsWith('edge-probe.ts')) {
  delete process.env.COFFERDAM_PROBE;
  const given = JSON.parse(facts) as Facts;
  become(given.user);
  void probe(given);
}
