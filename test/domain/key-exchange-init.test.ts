// A client's KEXINIT is parsed strictly, the right method is chosen, and wrong guesses are recognised.
import { test } from 'tap';
import { isPostQuantum, keyExchangeMethods, profileNames, profiles } from '../../server/domain/algorithms.ts';
import {
  agreedAlgorithms,
  chooseMethod,
  isGuessWrong,
  parseClientKexInit,
  withMethods,
} from '../../server/domain/key-exchange-init.ts';
import { concatBytes, wireString } from '../../server/domain/ssh-wire.ts';

function kexInit(
  methods: string,
  options: { hostKeys?: string; guess?: number; lists?: number; tail?: Uint8Array } = {},
): Uint8Array {
  const lists = [methods, options.hostKeys ?? 'ssh-ed25519', ...Array.from({ length: 8 }, () => 'x')].slice(
    0,
    options.lists ?? 10,
  );
  return concatBytes([
    Uint8Array.of(20),
    new Uint8Array(16),
    ...lists.map(wireString),
    Uint8Array.of(options.guess ?? 0),
    new Uint8Array(4),
    options.tail ?? new Uint8Array(),
  ]);
}
const strict = 'kex-strict-c-v00@openssh.com';

test('the first method of the client that the profile has is chosen', (t) => {
  const choose = (methods: string, profile: keyof typeof profiles = 'default'): string | undefined =>
    chooseMethod(parseClientKexInit(kexInit(methods)), profiles[profile]);
  t.equal(choose('mlkem768x25519-sha256,curve25519-sha256'), 'mlkem768x25519-sha256');
  t.equal(
    choose('sntrup761x25519-sha512@openssh.com,curve25519-sha256,mlkem768x25519-sha256'),
    'curve25519-sha256',
    "the client's order decides",
  );
  t.equal(choose('diffie-hellman-group14-sha256'), undefined);
  t.equal(choose('diffie-hellman-group14-sha256', 'legacy'), 'diffie-hellman-group14-sha256');
  t.equal(choose('mlkem768x25519-sha256,ecdh-sha2-nistp256', 'fips'), 'ecdh-sha2-nistp256');
  t.equal(choose('curve25519-sha256', 'fips'), undefined);
  for (const name of [
    'diffie-hellman-group1-sha1',
    'diffie-hellman-group14-sha1',
    'diffie-hellman-group-exchange-sha256',
    '',
    strict,
    'ext-info-c',
  ])
    for (const profile of profileNames) t.equal(choose(name, profile), undefined, `${profile}: ${name || 'nothing'}`);
  t.end();
});

test('guesses (RFC 4253 section 7.1)', (t) => {
  const wrong = (methods: string, hostKeys: string, guess: number): boolean =>
    isGuessWrong(parseClientKexInit(kexInit(methods, { hostKeys, guess })), 'curve25519-sha256', [
      'ssh-ed25519',
      'ecdsa-sha2-nistp256',
    ]);
  t.notOk(wrong('curve25519-sha256', 'ssh-ed25519', 1));
  t.ok(wrong('mlkem768,curve25519-sha256', 'ssh-ed25519', 1));
  t.ok(wrong('curve25519-sha256', 'ssh-rsa,ssh-ed25519', 1));
  t.notOk(wrong('mlkem768,curve25519-sha256', 'ssh-rsa,ssh-ed25519', 0), 'nothing follows');
  t.end();
});

test('the form of the message', (t) => {
  const client = parseClientKexInit(kexInit(`curve25519-sha256,ext-info-c,${strict}`));
  t.ok(client.hasStrict);
  t.same(
    parseClientKexInit(withMethods(client, ['a', 'b'])).keyExchange,
    ['a', 'b', 'ext-info-c', strict],
    'markers stay',
  );
  t.notOk(parseClientKexInit(kexInit('curve25519-sha256')).hasStrict);
  for (const [what, bad] of [
    ['a list less', kexInit('x', { lists: 9 })],
    ['something behind', kexInit('x', { tail: Uint8Array.of(0) })],
    ['another message', Uint8Array.from(kexInit('x')).fill(21, 0, 1)],
    ['too long', kexInit('x'.repeat(17_000))],
    ['nothing', new Uint8Array()],
    [
      'a length beyond the end',
      concatBytes([Uint8Array.of(20), new Uint8Array(16), Uint8Array.of(255, 255, 255, 255)]),
    ],
  ] as const)
    t.throws(() => parseClientKexInit(bad), { code: 'invalid' }, what);
  t.end();
});

test('no profile has a weak algorithm', (t) => {
  for (const name of profileNames) {
    const profile = profiles[name];
    const all = [
      ...profile.keyExchange,
      ...profile.ciphers,
      ...profile.macs,
      ...profile.userSignatures,
      ...profile.hostKeys,
    ].join(' ');
    t.notMatch(all, /sha1|-cbc|md5|arcfour|group1-|chacha|ssh-rsa|ssh-dss/, name);
    const isEtm = profile.macs.every((mac) => mac.endsWith('-etm@openssh.com'));
    t.equal(isEtm, name !== 'legacy', `${name}: encrypt-then-MAC only, but for legacy`);
  }
  t.notMatch(JSON.stringify(profiles.fips), /25519|mlkem|ctr/, 'fips: NIST curves and AES-GCM');
  t.equal(profiles.default.keyExchange[0], 'mlkem768x25519-sha256');
  t.same(keyExchangeMethods.filter(isPostQuantum), ['mlkem768x25519-sha256']);
  t.end();
});

/** A KEXINIT with these lists, in the order of RFC 4253 section 7.1. */
const withLists = (lists: readonly string[]): Uint8Array =>
  concatBytes([Uint8Array.of(20), new Uint8Array(16), ...lists.map((list) => wireString(list)), new Uint8Array(5)]);

test('both sides agree on the first algorithm of the client that the server has, separately for each direction', (t) => {
  const server = withLists(['k', 'h', 'c1,c2,aes-gcm', 'c3,c4,aes-gcm', 'm1,m2', 'm3,m4', 'none', 'none', '', '']);
  const agreed = (...lists: readonly string[]): unknown =>
    agreedAlgorithms(withLists(['k', 'h', ...lists, 'none', 'none', '', '']), server);
  t.same(agreed('x,c2,c1', 'c4', 'm2', 'x,m4,m3'), { cipherIn: 'c2', cipherOut: 'c4', macIn: 'm2', macOut: 'm4' });
  t.same(agreed('aes-gcm', 'c3', 'm1', 'm3'), { cipherIn: 'aes-gcm', cipherOut: 'c3', macIn: null, macOut: 'm3' });
  t.same(agreed('c1', 'aes-gcm', 'm1', 'm3'), { cipherIn: 'c1', cipherOut: 'aes-gcm', macIn: 'm1', macOut: null });
  t.same(agreed('x', 'c3', 'm1', 'x'), { cipherIn: null, cipherOut: 'c3', macIn: null, macOut: null });
  const nothing = { cipherIn: null, cipherOut: null, macIn: null, macOut: null };
  t.same(agreedAlgorithms(new Uint8Array(), server), nothing, 'what cannot be parsed agrees with nothing');
  t.same(agreedAlgorithms(server, new Uint8Array()), nothing);
  t.same(
    agreedAlgorithms(
      withLists(['k', 'h', 'chacha20-poly1305', 'c3', 'm1', 'm3', '', '', '', '']),
      withLists(['k', 'h', 'chacha20-poly1305', 'c3', 'm1', 'm3', '', '', '', '']),
    ),
    {
      cipherIn: 'chacha20-poly1305',
      cipherOut: 'c3',
      macIn: null,
      macOut: 'm3',
    },
  );
  t.end();
});

test('the shortest and the longest message are accepted', (t) => {
  const empty = parseClientKexInit(withLists(Array.from({ length: 10 }, () => '')));
  t.same([empty.keyExchange, empty.hostKeys, empty.hasStrict, empty.guessFollows], [[], [], false, false]);
  t.same(
    parseClientKexInit(withLists(['a', ...Array.from({ length: 9 }, () => '')])).keyExchange,
    ['a'],
    'a name of one letter',
  );
  const lengthOfRest = withLists(Array.from({ length: 10 }, () => '')).length;
  const ofLength = (bytes: number): Uint8Array =>
    withLists(['x'.repeat(bytes - lengthOfRest), ...Array.from({ length: 9 }, () => '')]);
  t.equal(ofLength(16_384).length, 16_384);
  t.doesNotThrow(() => parseClientKexInit(ofLength(16_384)));
  t.throws(() => parseClientKexInit(ofLength(16_385)), { code: 'invalid', message: 'malformed KEXINIT' });
  for (const bytes of [1, 16, 17])
    t.throws(
      () => parseClientKexInit(Uint8Array.of(20, ...new Uint8Array(bytes - 1))),
      { code: 'invalid' },
      `${bytes} bytes`,
    );
  t.end();
});

test('a name that a profile has and this product does not implement is not chosen', (t) => {
  const profile = {
    ...profiles.default,
    keyExchange: ['other', ...profiles.default.keyExchange],
  } as unknown as (typeof profiles)['default'];
  t.equal(chooseMethod(parseClientKexInit(kexInit('other,curve25519-sha256')), profile), 'curve25519-sha256');
  t.end();
});
