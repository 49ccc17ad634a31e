// What the record says about a login that opened a session is what proved it, in whatever order things were shown. A
// thief who shows other keys between the proofs does not hide the stolen one, and nobody else's key is named in its
// place.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { asOwner } from '../support/as-owner.ts';
import { makeKey } from '../support/ssh.ts';
import { loginInSteps, type ShownProof } from '../support/ssh-login.ts';
import { startWorld } from '../support/world.ts';

type Named = { readonly credential: string | null; readonly also: string | null };
type Report = { readonly sessions: readonly { readonly account: string }[] };

test('a session is recorded under the credentials that opened it', async (t) => {
  const world = await startWorld(t, { limits: { loginAttemptsMax: 8 } });
  const sql = await asOwner(t, world);
  const { port } = world.demo.partner;
  const ok = async (...args: readonly string[]): Promise<void> => {
    const done = await world.cofferctl(args);
    t.equal(done.code, 0, `${args.join(' ')}: ${done.err}`);
  };
  const passwordOf = async (account: string): Promise<string> => {
    const file = join(world.directory, `password-${account}`);
    await ok('password', 'issue', account, '--out', file);
    return readFileSync(file, 'utf8').trim();
  };
  await ok('customer', 'policy', 'globex', '--allow', 'key+password', '--reason', 'x', '--execute');
  await ok('account', 'set', 'globex-batch', '--networks', '127.0.0.0/8', '--reason', 'x', '--execute');
  const passwords = { acme: await passwordOf('acme'), 'globex-batch': await passwordOf('globex-batch') };
  const nameOf = async (account: string, type: string): Promise<string> => {
    const [row] = await sql(
      'select c.fingerprint from credential c join account a on a.id = c.account_id where a.name = $1 and c.type = $2 order by c.expires_at limit 1',
      [account, type],
    );
    return String(row?.fingerprint);
  };
  const keyOf = (account: string): string => readFileSync(world.keyFile(account), 'utf8');
  const publicOf = (account: string): string =>
    readFileSync(`${world.keyFile(account)}.pub`, 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ');
  const nobodys = readFileSync(makeKey(world, 'nobodys').file, 'utf8');
  const newest = async (kind: string): Promise<Named> =>
    (
      await sql('select credential, also_credential as also from ledger where kind = $1 order by at desc limit 1', [
        kind,
      ])
    )[0] as Named;

  const strangers: readonly (readonly [string, ShownProof])[] = [
    ["nobody's key", { key: nobodys }],
    ["another bank's public key", { foreignKey: publicOf('acme') }],
    ["another bank's key, with its signature", { key: keyOf('acme') }],
  ];
  const key: ShownProof = { key: keyOf('globex-batch') };
  const password: ShownProof = { password: passwords['globex-batch'] };
  const wrong: ShownProof = { password: `${passwords['globex-batch'].slice(0, 8)}-wrong` };
  const names = { key: await nameOf('globex-batch', 'public-key'), password: await nameOf('globex-batch', 'password') };
  const both = { credential: names.key, also: names.password };
  const byKey = { credential: names.key, also: null };
  const byPassword = { credential: names.password, also: null };
  const code = async (): Promise<ShownProof> => ({ answer: await world.code('acme') });
  const [acmeKey, acmePassword] = [await nameOf('acme', 'public-key'), await nameOf('acme', 'password')];
  const orders: readonly (readonly [string, string, readonly ShownProof[], Named, Named])[] = [
    ['globex-batch', 'the twin: key, password', [key, password], both, byKey],
    ...strangers.flatMap(([who, other]) => [
      ['globex-batch', `key, ${who}, password`, [key, other, password], both, byKey] as const,
      ['globex-batch', `password, ${who}, key`, [password, other, key], both, byPassword] as const,
    ]),
    ['globex-batch', "nobody's key, key, password", [{ key: nobodys }, key, password], both, byKey],
    ['globex-batch', 'a wrong password, key, password', [wrong, key, password], both, byKey],
    [
      'acme',
      'key, a wrong password, code',
      [{ key: keyOf('acme') }, wrong, await code()],
      { credential: acmeKey, also: null },
      { credential: acmeKey, also: null },
    ],
    [
      'acme',
      "password, another bank's key, code",
      [{ password: passwords.acme }, { key: keyOf('globex') }, await code()],
      { credential: acmePassword, also: null },
      { credential: acmePassword, also: null },
    ],
  ];
  for (const [username, what, proofs, named, partial] of orders) {
    t.ok(await loginInSteps(port, username, proofs), `${what}: opens`);
    t.same(await newest('session.opened'), named, `${what}: the session`);
    t.same(await newest('login.partial'), partial, `${what}: the proof before the last`);
    const [row] = await sql(
      `select k.fingerprint as credential, k2.fingerprint as also from session s join credential k on k.id = s.credential_id
       left join credential k2 on k2.id = s.also_credential_id order by s.started_at desc limit 1`,
    );
    t.same(row, named, `${what}: as the session's own row has it`);
  }

  // What was shown and refused is named in the refusal, beside what had been proved.
  const refused = await sql(
    "select credential, also_credential as also from ledger where kind = 'login.refused' and account_id = (select id from account where name = 'globex-batch') order by at",
  );
  t.ok(
    refused.some((one) => one.also === names.key && one.credential === acmeKey),
    'a refusal names what was refused and the key that was good',
  );

  const scope = async (fingerprint: string): Promise<readonly string[]> =>
    (
      await world.cofferctlJson<Report>(['incident', 'scope', '--credential', fingerprint, '--since', '1h'])
    ).sessions.map((one) => one.account);
  const stolen = await scope(names.key);
  t.same(new Set(stolen), new Set(['globex-batch']), 'the scope of the stolen key');
  t.equal(
    stolen.length,
    orders.filter(([, , , named]) => named.credential === names.key).length,
    'every session of it',
  );
  t.same(await scope(acmeKey), ['acme'], "none of it is the other bank's");
});
