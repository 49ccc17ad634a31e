// Owns: printing the current code of a demo account (RFC 6238 with SHA-1, 30 seconds, 6 digits). The product's own TOTP
// is in the warden.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Returns the code of a base32 secret at a time in seconds since 1970. */
export function totp(secret: string, seconds: number): string {
  const bits = [...secret].map((letter) => base32.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(seconds / 30)));
  const mac = createHmac('sha1', key).update(counter).digest();
  const offset = (mac[19] ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fff_ffff) % 1_000_000).padStart(6, '0');
}

function main(): void {
  const name = process.argv[2];
  const runtime = process.env.COFFERDAM_VAR || join(import.meta.dirname, '..', 'var');
  const { accounts } = JSON.parse(readFileSync(join(runtime, 'demo.json'), 'utf8')) as {
    accounts: { account: string; totpSecret: string | null }[];
  };
  const account = accounts.find((one) => one.account === name);
  if (account?.totpSecret == null) {
    const names = accounts.filter((one) => one.totpSecret !== null).map((one) => one.account);
    process.stderr.write(`usage: npm run --silent otp -- ACCOUNT   (one of: ${names.join(', ')})\n`);
    process.exit(2);
  }
  process.stdout.write(`${totp(account.totpSecret, Date.now() / 1000)}\n`);
}

if (import.meta.main) main();
