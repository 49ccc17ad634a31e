// The key files of the warden: made once and only in development mode, read only when nobody else can read them, and
// what a key is called follows from the key.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { type Test, test } from 'tap';
import { runtimePaths } from '../../server/config/config.ts';
import {
  type KeyConfig,
  loadHostKeys,
  loadLedgerKey,
  loadMasterKey,
  loadReceiptKey,
  publicLine,
} from '../../server/warden/keys/key-files.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

function configOf(t: Test, mode: KeyConfig['mode'] = 'development'): KeyConfig {
  const runtimeDirectory = join(temporaryDirectory(t), 'var');
  return { mode, runtimeDirectory, storeDirectory: runtimeDirectory };
}
const fromHex = (der: string): KeyObject =>
  createPrivateKey({ key: Buffer.from(der, 'hex'), format: 'der', type: 'pkcs8' });
const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
/** Puts a key file there by hand, as an operator of a production gateway does. */
function put(path: string, content: string | Buffer, mode = 0o400): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

/** RFC 8032 section 7.1, test 1. */
const ed25519 = fromHex(
  '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
);
const ed25519Line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea';
/** Made by ssh-keygen, which also printed its public line. */
const p256 = fromHex(
  '308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b02010104209ae67d59ef4c67718c4992e4418483635a29eef27a43def6e1f972bbbe21a9b7a14403420004f9b43ca96cb0a51aca40529c7a7af33e6e8b94fe4f4ef6947e16d73a22bb31f3bf1f517647744548d12c9524912f3689b83d44f53e0cba2675eef8942779922f',
);
const p256Line =
  'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPm0PKlssKUaykBSnHp68z5ui5T+T072lH4W1zoiuzHzvx9Rdkd0RUjRLJUkkS82ibg9RPU+DLomde74lCd5ki8=';

/** Every file of one key, what a person is told that it is, and what reads it. */
const kinds = [
  { what: 'the master key', path: (config: KeyConfig) => runtimePaths(config).masterKey, load: loadMasterKey },
  {
    what: 'the host key',
    path: (config: KeyConfig) => join(runtimePaths(config).hostKeys, 'ed25519.pem'),
    load: loadHostKeys,
  },
  {
    what: 'the host key',
    path: (config: KeyConfig) => join(runtimePaths(config).hostKeys, 'ecdsa.pem'),
    load: loadHostKeys,
  },
  { what: 'the receipt key', path: (config: KeyConfig) => runtimePaths(config).receiptKey, load: loadReceiptKey },
  { what: 'the ledger key', path: (config: KeyConfig) => runtimePaths(config).ledgerKey, load: loadLedgerKey },
] as const;

test('in development a missing key is made once, for its owner alone', (t) => {
  const before = process.umask(0);
  t.teardown(() => process.umask(before));
  for (const { what, path, load } of kinds) {
    const config = configOf(t);
    load(config);
    const first = readFileSync(path(config));
    t.equal(statSync(path(config)).mode & 0o777, 0o400, `${what}: mode of the file`);
    t.equal(statSync(dirname(path(config))).mode & 0o777, 0o700, `${what}: mode of its directory`);
    load(config);
    t.ok(readFileSync(path(config)).equals(first), `${what}: read, and not made again`);
  }
  t.end();
});

test('in production no key is ever made', (t) => {
  for (const { what, path, load } of kinds) {
    const config = configOf(t);
    load(config);
    const kept = readFileSync(path(config));
    renameSync(path(config), `${path(config)}.away`);
    const production: KeyConfig = { ...config, mode: 'production' };
    t.throws(() => load(production), { code: 'configuration', message: `${what} ${path(config)} is missing` });
    t.notOk(existsSync(path(config)), `${what}: nothing was written`);
    put(path(config), kept);
    t.doesNotThrow(() => load(production), `${what}: the one that is there is taken`);
  }
  t.end();
});

test('a new key never goes where something is already, however it got there', (t) => {
  const config = configOf(t);
  const { masterKey } = runtimePaths(config);
  mkdirSync(dirname(masterKey), { recursive: true });
  const elsewhere = join(config.runtimeDirectory, 'elsewhere');
  symlinkSync(elsewhere, masterKey);
  t.throws(() => loadMasterKey(config), { code: 'EEXIST' });
  t.notOk(existsSync(elsewhere));
  t.end();
});

test('a new key is on the disk before it is used, and its file is closed', (t) => {
  const openFiles = (): readonly string[] =>
    readdirSync('/proc/self/fd').flatMap((name) => {
      try {
        return [readlinkSync(join('/proc/self/fd', name))];
      } catch {
        return [];
      }
    });
  const config = configOf(t);
  const { masterKey } = runtimePaths(config);
  const { fsyncSync } = fs;
  t.teardown(() => {
    fs.fsyncSync = fsyncSync;
    syncBuiltinESMExports();
  });
  const flushed: (readonly [string, number])[] = [];
  fs.fsyncSync = (file) => {
    flushed.push([readlinkSync(`/proc/self/fd/${file}`), fs.fstatSync(file).size]);
    fsyncSync(file);
  };
  syncBuiltinESMExports();
  loadMasterKey(config);
  const [content, directory, ...more] = flushed;
  t.ok(content?.[0].startsWith(`${masterKey}.`), 'beside its name');
  t.equal(content?.[1], 32, 'with all its bytes');
  t.equal(directory?.[0], dirname(masterKey), 'and then its name');
  t.same(more, []);
  t.same(
    openFiles().filter((path) => path.startsWith(masterKey)),
    [],
  );
  loadMasterKey(config);
  t.equal(flushed.length, 2, 'reading writes nothing');
  t.end();
});

test('a key that anybody else could open is refused, with its mode and what to do', (t) => {
  for (const { what, path, load } of kinds) {
    const config = configOf(t);
    load(config);
    for (const bit of [0o040, 0o020, 0o010, 0o004, 0o002, 0o001]) {
      chmodSync(path(config), 0o400 | bit);
      const mode = (0o400 | bit).toString(8);
      t.throws(() => load(config), {
        code: 'configuration',
        message: `${what} ${path(config)} may be read by others (mode ${mode}): chmod 0400 it`,
      });
    }
    for (const mode of [0o400, 0o600, 0o700]) {
      chmodSync(path(config), mode);
      t.doesNotThrow(() => load(config), `${what}: mode ${mode.toString(8)} is its owner's alone`);
    }
  }
  t.end();
});

test('what is there and cannot be read is a fault of the configuration, with its cause', (t) => {
  for (const { what, path, load } of kinds) {
    const config = configOf(t);
    mkdirSync(path(config), { recursive: true, mode: 0o700 });
    t.throws(() => load(config), {
      code: 'configuration',
      message: `${what} ${path(config)} cannot be read`,
      cause: { code: 'EISDIR' },
    });
  }
  t.end();
});

test('the master key has exactly 32 bytes, and its name follows from it and does not tell it', (t) => {
  const config = configOf(t, 'production');
  const { masterKey } = runtimePaths(config);
  const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
  put(masterKey, key);
  const loaded = loadMasterKey(config);
  // Computed by another implementation of HKDF: every row that it wrapped has this name.
  t.equal(loaded.id, '1182caf3ca4590b1');
  t.ok(loaded.key.reveal().equals(key));
  for (const bytes of [0, 31, 33, 64]) {
    chmodSync(masterKey, 0o600);
    put(masterKey, Buffer.alloc(bytes, 1));
    t.throws(
      () => loadMasterKey(config),
      { code: 'configuration', message: 'the master key must be exactly 32 bytes' },
      `${bytes}`,
    );
  }
  const another = configOf(t);
  t.not(loadMasterKey(another).id, loaded.id, 'a key that was made is another one');
  t.equal(loadMasterKey(another).key.reveal().length, 32);
  t.end();
});

test('host keys that are made: one of each kind, and both sign', (t) => {
  const config = configOf(t);
  const made = loadHostKeys(config);
  t.same(
    made.map(({ algorithm, inUse, key }) => ({
      algorithm,
      inUse,
      kind: key.asymmetricKeyType,
      of: key.asymmetricKeyDetails?.namedCurve,
    })),
    [
      { algorithm: 'ssh-ed25519', inUse: true, kind: 'ed25519', of: undefined },
      { algorithm: 'ecdsa-sha2-nistp256', inUse: true, kind: 'ec', of: 'prime256v1' },
    ],
  );
  t.same(readdirSync(runtimePaths(config).hostKeys), ['ecdsa.pem', 'ed25519.pem']);
  t.same(loadHostKeys(config).map(publicLine), made.map(publicLine), 'the same ones after a restart');
  t.end();
});

test('host keys have the public form that clients compare, and the next ones are only announced', (t) => {
  const config = configOf(t, 'production');
  const { hostKeys } = runtimePaths(config);
  put(join(hostKeys, 'ed25519.pem'), pemOf(ed25519));
  put(join(hostKeys, 'ecdsa.pem'), pemOf(p256));
  const shown = (): readonly (readonly [string, boolean])[] =>
    loadHostKeys(config).map((one) => [publicLine(one), one.inUse]);
  const current = [
    [ed25519Line, true],
    [p256Line, true],
  ];
  t.same(shown(), current);
  t.ok(
    loadHostKeys(config).every(
      ({ algorithm, blob }) => blob.subarray(4, 4 + algorithm.length).toString() === algorithm,
    ),
  );
  t.ok(loadHostKeys(config)[0]?.key.equals(ed25519));
  const nextEd25519 = join(hostKeys, 'ed25519.next.pem');
  const nextP256 = join(hostKeys, 'ecdsa.next.pem');
  put(nextP256, pemOf(p256));
  t.same(shown(), [...current, [p256Line, false]]);
  put(nextEd25519, pemOf(ed25519));
  t.same(shown(), [current[0], [ed25519Line, false], current[1], [p256Line, false]]);
  chmodSync(nextEd25519, 0o440);
  t.throws(shown, {
    code: 'configuration',
    message: `the next host key ${nextEd25519} may be read by others (mode 440): chmod 0400 it`,
  });
  t.end();
});

test('a host key of another algorithm is refused, whatever its file is called', (t) => {
  const others = {
    'another curve': generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    RSA: generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey,
    Ed448: generateKeyPairSync('ed448').privateKey,
  };
  for (const [what, key] of Object.entries(others)) {
    const config = configOf(t);
    put(join(runtimePaths(config).hostKeys, 'ecdsa.pem'), pemOf(key));
    t.throws(
      () => loadHostKeys(config),
      { code: 'configuration', message: 'host keys are Ed25519 or ECDSA on P-256' },
      what,
    );
  }
  t.end();
});

test('the keys of receipts and of the record are Ed25519, and the record takes no other', (t) => {
  const config = configOf(t);
  t.equal(loadReceiptKey(config).asymmetricKeyType, 'ed25519');
  t.equal(loadLedgerKey(config).asymmetricKeyType, 'ed25519');
  t.notOk(createPublicKey(loadReceiptKey(config)).equals(createPublicKey(loadLedgerKey(config))), 'two keys');
  const given = configOf(t, 'production');
  const { receiptKey, ledgerKey } = runtimePaths(given);
  put(receiptKey, pemOf(ed25519));
  put(ledgerKey, pemOf(ed25519));
  t.ok(loadReceiptKey(given).equals(ed25519));
  t.ok(loadLedgerKey(given).equals(ed25519));
  chmodSync(ledgerKey, 0o600);
  put(ledgerKey, pemOf(p256));
  t.throws(() => loadLedgerKey(given), { code: 'configuration', message: 'the ledger key must be Ed25519' });
  t.end();
});
