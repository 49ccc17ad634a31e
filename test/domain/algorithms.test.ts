// The algorithms of each profile, name by name. A name that is missing or misspelled shuts clients out, and one too
// many lets them in.
import { test } from 'tap';
import {
  hashAlgorithmOf,
  hostKeyAlgorithms,
  isKeyExchangeMethod,
  isPostQuantum,
  keyExchangeMethods,
  profileNames,
  profiles,
} from '../../server/domain/algorithms.ts';

const modern =
  'mlkem768x25519-sha256 curve25519-sha256 curve25519-sha256@libssh.org ecdh-sha2-nistp256 ecdh-sha2-nistp384';
const ecdsa = 'ecdsa-sha2-nistp256 ecdsa-sha2-nistp384 ecdsa-sha2-nistp521';
const etm = 'hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com';

test('what each profile offers', (t) => {
  const offered = profileNames.map((name) => {
    const { keyExchange, hostKeys, ciphers, macs, userSignatures, ...rest } = profiles[name];
    const lists = { keyExchange, hostKeys, ciphers, macs, userSignatures };
    return { ...Object.fromEntries(Object.entries(lists).map(([key, names]) => [key, names.join(' ')])), ...rest };
  });
  t.same(offered, [
    {
      name: 'default',
      keyExchange: modern,
      hostKeys: 'ssh-ed25519 ecdsa-sha2-nistp256',
      ciphers: 'aes128-gcm@openssh.com aes256-gcm@openssh.com aes256-ctr aes128-ctr',
      macs: etm,
      userSignatures: `ssh-ed25519 ${ecdsa} rsa-sha2-512 rsa-sha2-256`,
      rsaBitsMin: 3072,
      strictRequired: true,
    },
    {
      name: 'fips',
      keyExchange: 'ecdh-sha2-nistp256 ecdh-sha2-nistp384',
      hostKeys: 'ecdsa-sha2-nistp256',
      ciphers: 'aes128-gcm@openssh.com aes256-gcm@openssh.com',
      macs: etm,
      userSignatures: `${ecdsa} rsa-sha2-512 rsa-sha2-256`,
      rsaBitsMin: 3072,
      strictRequired: true,
    },
    {
      name: 'legacy',
      keyExchange: `${modern} diffie-hellman-group14-sha256`,
      hostKeys: 'ssh-ed25519 ecdsa-sha2-nistp256',
      ciphers: 'aes128-gcm@openssh.com aes256-gcm@openssh.com aes256-ctr aes128-ctr',
      macs: `${etm} hmac-sha2-256 hmac-sha2-512`,
      userSignatures: `ssh-ed25519 ${ecdsa} rsa-sha2-512 rsa-sha2-256`,
      rsaBitsMin: 2048,
      strictRequired: false,
    },
  ]);
  t.same(hostKeyAlgorithms, ['ssh-ed25519', 'ecdsa-sha2-nistp256']);
  t.end();
});

test('the method behind each name of a key exchange', (t) => {
  t.equal(keyExchangeMethods.join(' '), `${modern} diffie-hellman-group14-sha256`);
  for (const method of keyExchangeMethods) t.ok(isKeyExchangeMethod(method), method);
  for (const other of ['', 'kex-strict-s-v00@openssh.com', 'diffie-hellman-group14-sha1', 'CURVE25519-SHA256'])
    t.notOk(isKeyExchangeMethod(other), other);
  t.same(keyExchangeMethods.map(hashAlgorithmOf), ['sha256', 'sha256', 'sha256', 'sha256', 'sha384', 'sha256']);
  t.same(keyExchangeMethods.filter(isPostQuantum), ['mlkem768x25519-sha256']);
  t.end();
});
