// Owns: the demo world, made once by the same commands that operators use: three banks, their accounts, and our own processor.
// Must never: run unless the configuration is the demo's own, on loopback.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Config } from '../config/config.ts';
import { demoCustomers as customers, demoMachine, demoProcessor as processor } from '../domain/demo-accounts.ts';
import { CofferdamError } from '../domain/errors.ts';
import { filePart } from '../domain/path-parts.ts';
import { type Send, withDevelopmentOperators } from './development-operators.ts';
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
  return (bits.match(/.{1,5}/g) ?? []).map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five.padEnd(5, '0'), 2)]).join('');
}

/** Sends a command. When an earlier, interrupted start has executed it already, the conflict counts as success. */
async function once(send: Send, operation: string, params: Record<string, unknown>): Promise<void> {
  try {
    await send(operation, params);
  } catch (error) {
    if (!(error instanceof CofferdamError && error.code === 'conflict')) throw error;
  }
}

function clientKey(config: Config, account: string): { readonly path: string; readonly publicLine: string } {
  const directory = join(config.runtimeDirectory, 'demo', 'keys');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, filePart(account));
  if (!existsSync(`${path}.pub`)) {
    const pair = newOpenSshKeyPair(`${account}@demo`);
    writeFileSync(path, pair.privateText, { mode: 0o600 });
    writeFileSync(`${path}.pub`, `${pair.publicLine}\n`, { mode: 0o644 });
  }
  return { path, publicLine: readFileSync(`${path}.pub`, 'utf8').trim() };
}

function seedOf(config: Config, account: string): Buffer {
  const directory = join(config.runtimeDirectory, 'demo', 'seeds');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, filePart(account));
  if (!existsSync(path)) writeFileSync(path, randomBytes(20).toString('hex'), { mode: 0o600 });
  return Buffer.from(readFileSync(path, 'utf8'), 'hex');
}

async function makeAccount(
  config: Config,
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
  const key = clientKey(config, account);
  await once(send, 'key.add', { account, publicKey: key.publicLine });
  const seed = kind === 'person' ? seedOf(config, account) : null;
  if (seed !== null) await once(send, 'demo.set-factor', { account, seed: seed.toString('base64') });
  return { ...wanted, keyFile: relative(projectDirectory, key.path), totpSecret: seed === null ? null : base32(seed) };
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

async function makeWorld(config: Config, projectDirectory: string, send: Send): Promise<readonly DemoAccount[]> {
  for (const name of customers) await once(send, 'customer.create', { name, reason: 'the demo world' });
  const accounts: DemoAccount[] = [];
  for (const customer of customers)
    for (const kind of ['person', 'machine'] as const)
      accounts.push(
        await makeAccount(config, projectDirectory, send, {
          customer,
          account: kind === 'person' ? customer : demoMachine(customer),
          kind,
          plane: 'partner',
        }),
      );
  accounts.push(
    await makeAccount(config, projectDirectory, send, { customer: null, account: processor, kind: 'machine', plane: 'internal' }),
  );
  return accounts;
}

/** Makes the demo world when it does not exist, and opens the machines' windows again. Idempotent. */
export async function ensureDemoWorld(config: Config, projectDirectory: string): Promise<void> {
  if (!config.demo) throw new CofferdamError('bug', 'the demo world is not for this configuration');
  await withDevelopmentOperators(config, async (send) => {
    const accounts = await makeWorld(config, projectDirectory, send);
    for (const { account, kind } of accounts)
      if (kind === 'machine') await send('window.open', { account, hours: 24, reason: 'demo start' });
    const ping = (await send('warden.ping', {})) as { hostKeys?: readonly string[] };
    writeFiles(config, accounts, ping.hostKeys ?? []);
  });
}

function writeFiles(config: Config, accounts: readonly DemoAccount[], hostKeys: readonly string[]): void {
  const addressOf = (plane: string): { host: string; port: number } => {
    const edge = config.edges.find((one) => one.plane === plane);
    return { host: edge?.host ?? '127.0.0.1', port: edge?.port ?? 0 };
  };
  const names = config.edges.map((edge) => `[${edge.host}]:${edge.port}`).join(',');
  writeWhole(join(config.runtimeDirectory, 'demo', 'known_hosts'), `${hostKeys.map((line) => `${names} ${line}`).join('\n')}\n`);
  writeWhole(
    join(config.runtimeDirectory, 'demo.json'),
    `${JSON.stringify({ partner: addressOf('partner'), internal: addressOf('internal'), folders, accounts }, null, 2)}\n`,
  );
}
