// The files behind the operators' TLS are read again when they change: newer lists and another authority are taken,
// older lists are not.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { Authority, authorityPaths, createAuthorityDirectory } from '../../certs/authority-directory.ts';
import { type Trust, TrustFiles } from '../../server/admin/listeners/trust.ts';
import { createLogger } from '../../server/observability/logger.ts';
import { temporaryDirectory } from '../support/database.ts';
import { until } from '../support/until.ts';

test('a list goes forward for one authority, and another authority begins with its own first one, whatever its name is; a renewed certificate needs no newer list', async (t) => {
  const base = temporaryDirectory(t);
  const used = join(base, 'used');
  mkdirSync(used);
  /** An authority of this name with a server's certificate, and its list of that number. */
  const make = async (directory: string, name: string, crlNumber: number): Promise<void> => {
    await createAuthorityDirectory(directory, name, 100);
    await Authority.open(directory, async (authority) => {
      const { certificate, key } = await authority.issueServer('localhost', 10);
      writeFileSync(join(directory, 'server-cert.pem'), certificate);
      writeFileSync(join(directory, 'server-key.pem'), key);
      while ((await authority.reissueCrl()) < crlNumber);
    });
  };
  const use = (directory: string): void => {
    const { certificate, crl } = authorityPaths(directory);
    for (const [from, to] of [
      [join(directory, 'server-cert.pem'), 'cert.pem'],
      [join(directory, 'server-key.pem'), 'key.pem'],
      [certificate, 'ca.pem'],
      [crl, 'crl.pem'],
    ] as const)
      copyFileSync(from, join(used, to));
  };
  const [former, next] = [join(base, 'former'), join(base, 'next')];
  await make(former, 'Gateway', 4);
  await make(next, 'Gateway', 2);
  copyFileSync(authorityPaths(former).crl, join(base, 'fourth.pem'));
  use(former);

  const refused: string[] = [];
  const log = createLogger({ log: { level: 'error', pretty: false } }, 'test');
  log.error = ((facts: { readonly reason?: string }) => void refused.push(facts.reason ?? '')) as typeof log.error;
  const files = new TrustFiles(used, log);
  t.teardown(() => files.stop());
  const seen: (readonly number[])[] = [];
  files.watch((trust: Trust) => void seen.push(trust.trusted.map((one) => one.list.number)));
  const patience = { withinMs: 60_000, everyMs: 50 };
  const numbers = (): readonly number[] => files.current.trusted.map((one) => one.list.number);
  t.same(numbers(), [4]);
  await Authority.open(former, (authority) => authority.reissueCrl());
  use(former);
  await until('a newer list', () => seen.length === 1, patience);
  t.same([seen, numbers(), refused], [[[5]], [5], []], 'a newer list is taken');
  copyFileSync(join(base, 'fourth.pem'), join(used, 'crl.pem'));
  await until('an older list', () => refused.length === 1, patience);
  t.match(refused, [/crl\.pem is number 4, older than number 5 that is in use/]);
  t.same([seen.length, numbers()], [1, [5]], 'an older one is not');
  await Authority.open(former, async (authority) => {
    const { certificate, key } = await authority.issueServer('localhost', 10);
    writeFileSync(join(former, 'server-cert.pem'), certificate);
    writeFileSync(join(former, 'server-key.pem'), key);
  });
  const serial = files.current.certificate.serialNumber;
  use(former);
  await until('a renewed certificate', () => seen.length === 2, patience);
  t.same([seen[1], refused.length], [[5], 1], 'the same list with a renewed certificate is taken');
  t.not(files.current.certificate.serialNumber, serial);
  use(next);
  await until('another authority', () => seen.length === 3, patience);
  t.same(
    [seen[2], numbers(), refused.length],
    [[2], [2], 1],
    'another authority of the same name is another authority',
  );
});
