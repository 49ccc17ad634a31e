// Owns: the demo world, made once by the same commands that operators use: three banks, their accounts, and our own
// processor.
// Must never: run unless the configuration is the demo's own, on loopback.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Send, withDevelopmentOperators } from '../admin/development-operators.ts';
import type { Config } from '../config/config.ts';
import { replaceDurably } from '../disk/durable-file.ts';
import { demoCustomers as customers, demoMachine, demoProcessor as processor } from '../domain/demo-accounts.ts';
import { CofferdamError } from '../domain/errors.ts';
import { filePart } from '../domain/path-parts.ts';
import { newOpenSshKeyPair } from './openssh-key.ts';

const folders = { deposit: 'deposit', collect: 'collect' } as const;

type DemoAccount = {
  readonly customer: string | null;
  readonly account: string;
  readonly kind: 'person' | 'machine';
  readonly plane: 'partner' | 'internal';
  readonly keyFile: string;
  readonly totpSecret: string | null;
};

function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('');
}

/**
 * Sends a command. When an earlier start has executed it already, the conflict counts as success; so does `not-found`
 * for an account whose bank somebody renamed since.
 */
async function once(send: Send, operation: string, params: Record<string, unknown>): Promise<void> {
  const fine = operation === 'account.create' ? ['conflict', 'not-found'] : ['conflict'];
  try {
    await send(operation, params);
  } catch (error) {
    if (!(error instanceof CofferdamError && fine.includes(error.code))) throw error;
  }
}

function clientKey(runtimeDirectory: string, account: string): { readonly path: string; readonly publicLine: string } {
  const directory = join(runtimeDirectory, 'demo', 'keys');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, filePart(account));
  if (!existsSync(`${path}.pub`)) {
    const pair = newOpenSshKeyPair(`${account}@demo`);
    writeFileSync(path, pair.privateText, { mode: 0o600 });
    writeFileSync(`${path}.pub`, `${pair.publicLine}\n`, { mode: 0o644 });
  }
  return { path, publicLine: readFileSync(`${path}.pub`, 'utf8').trim() };
}

function seedOf(runtimeDirectory: string, account: string): Buffer {
  const directory = join(runtimeDirectory, 'demo', 'seeds');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, filePart(account));
  if (!existsSync(path)) writeFileSync(path, randomBytes(20).toString('hex'), { mode: 0o600 });
  return Buffer.from(readFileSync(path, 'utf8'), 'hex');
}

async function makeAccount(
  runtimeDirectory: string,
  projectDirectory: string,
  send: Send,
  wanted: Omit<DemoAccount, 'keyFile' | 'totpSecret'>,
): Promise<DemoAccount> {
  const { account, kind, plane, customer } = wanted;
  await once(
    send,
    'account.create',
    plane === 'partner'
      ? { plane, name: account, kind, customer, ...(kind === 'person' ? { manages: true } : {}) }
      : { plane, name: account, kind, customers },
  );
  const key = clientKey(runtimeDirectory, account);
  await once(send, 'key.add', { account, publicKey: key.publicLine });
  const seed = kind === 'person' ? seedOf(runtimeDirectory, account) : null;
  if (seed !== null) await once(send, 'demo.set-factor', { account, seed: seed.toString('base64') });
  return { ...wanted, keyFile: relative(projectDirectory, key.path), totpSecret: seed === null ? null : base32(seed) };
}

async function makeWorld(
  runtimeDirectory: string,
  projectDirectory: string,
  send: Send,
): Promise<readonly DemoAccount[]> {
  for (const name of customers) await once(send, 'customer.create', { name, reason: 'the demo world' });
  const accounts: DemoAccount[] = [];
  for (const customer of customers)
    for (const kind of ['person', 'machine'] as const)
      accounts.push(
        await makeAccount(runtimeDirectory, projectDirectory, send, {
          customer,
          account: kind === 'person' ? customer : demoMachine(customer),
          kind,
          plane: 'partner',
        }),
      );
  accounts.push(
    await makeAccount(runtimeDirectory, projectDirectory, send, {
      customer: null,
      account: processor,
      kind: 'machine',
      plane: 'internal',
    }),
  );
  return accounts;
}

/** Makes the demo world when it does not exist, and opens the machines' windows again. Idempotent. */
export async function ensureDemoWorld(config: Config, projectDirectory: string): Promise<void> {
  if (!config.demo) throw new CofferdamError('bug', 'the demo world is not for this configuration');
  await withDevelopmentOperators(config, async (send) => {
    const accounts = await makeWorld(config.runtimeDirectory, projectDirectory, send);
    for (const { account, kind } of accounts)
      if (kind === 'machine') await send('window.open', { account, hours: 24, reason: 'demo start' });
    const ping = (await send('warden.ping', {})) as { hostKeys?: readonly string[] };
    writeFiles(config, accounts, ping.hostKeys ?? []);
  });
}

function writeFiles(
  { edges, runtimeDirectory }: Pick<Config, 'edges' | 'runtimeDirectory'>,
  accounts: readonly DemoAccount[],
  hostKeys: readonly string[],
): void {
  const addressOf = (plane: string): { host: string; port: number } => {
    const edge = edges.find((one) => one.plane === plane);
    return { host: edge?.host ?? '127.0.0.1', port: edge?.port ?? 0 };
  };
  const names = edges.map((edge) => `[${edge.host}]:${edge.port}`).join(',');
  const knownHosts = `${hostKeys.map((line) => `${names} ${line}`).join('\n')}\n`;
  replaceDurably({ path: join(runtimeDirectory, 'demo', 'known_hosts'), content: knownHosts, mode: 0o600 });
  const demo = { partner: addressOf('partner'), internal: addressOf('internal'), folders, accounts };
  replaceDurably({
    path: join(runtimeDirectory, 'demo.json'),
    content: `${JSON.stringify(demo, null, 2)}\n`,
    mode: 0o600,
  });
}
