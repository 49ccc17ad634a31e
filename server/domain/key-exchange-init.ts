// Owns: reading a client's SSH_MSG_KEXINIT (RFC 4253 section 7.1) and choosing a method from it.
// Must never: accept a list that its own packet does not hold.
import { isKeyExchangeMethod, type KeyExchangeMethod, type Profile } from './algorithms.ts';
import { CofferdamError } from './errors.ts';
import { concatBytes, WireReader, wireString } from './ssh-wire.ts';

/** Message number and cookie. */
const fixedBytes = 17;
const listCount = 10;
const payloadBytesMax = 16_384;
const strictMarker = 'kex-strict-c-v00@openssh.com';

export type ClientKexInit = {
  readonly keyExchange: readonly string[];
  readonly hostKeys: readonly string[];
  readonly hasStrict: boolean;
  readonly guessFollows: boolean;
  /** Everything after the list of key exchange methods. */
  readonly rest: Uint8Array;
  readonly fixed: Uint8Array;
};

const names = (bytes: Uint8Array): readonly string[] => (bytes.length === 0 ? [] : new TextDecoder('latin1').decode(bytes).split(','));

/** Throws `invalid` on any other form than the RFC's, or beyond 16 KiB. */
export function parseClientKexInit(payload: Uint8Array): ClientKexInit {
  if (payload.length > payloadBytesMax || payload[0] !== 20 || payload.length < fixedBytes)
    throw new CofferdamError('invalid', 'malformed KEXINIT');
  const reader = new WireReader(payload.subarray(fixedBytes));
  const lists = Array.from({ length: listCount }, () => reader.string());
  const guessFollows = reader.bool();
  reader.uint32();
  reader.end();
  const keyExchange = names(lists[0] ?? new Uint8Array());
  return {
    keyExchange,
    hostKeys: names(lists[1] ?? new Uint8Array()),
    hasStrict: keyExchange.includes(strictMarker),
    guessFollows,
    rest: payload.subarray(fixedBytes + 4 + (lists[0]?.length ?? 0)),
    fixed: payload.subarray(0, fixedBytes),
  };
}

/** The first method of the client's list that the profile has (RFC 4253 section 7.1), or undefined. */
export function chooseMethod(client: ClientKexInit, profile: Profile): KeyExchangeMethod | undefined {
  return client.keyExchange.find((name): name is KeyExchangeMethod => isKeyExchangeMethod(name) && profile.keyExchange.includes(name));
}

/** Whether the packet that follows a guess is to be ignored: the guess was another method or host key than the negotiated ones. */
export function isGuessWrong(client: ClientKexInit, method: KeyExchangeMethod, hostKeys: readonly string[]): boolean {
  const hostKey = client.hostKeys.find((name) => hostKeys.includes(name));
  return client.guessFollows && (client.keyExchange[0] !== method || client.hostKeys[0] !== hostKey);
}

export type ConnectionAlgorithms = {
  readonly cipherIn: string | null;
  readonly cipherOut: string | null;
  /** null: the cipher authenticates by itself. */
  readonly macIn: string | null;
  readonly macOut: string | null;
};

/**
 * What two KEXINITs agree on for the connection (RFC 4253 section 7.1): the first of the client's list that the server has. `In`: from the client.
 * null where they agree on nothing, or where one of them cannot be read.
 */
export function agreedAlgorithms(client: Uint8Array, server: Uint8Array): ConnectionAlgorithms {
  const listsOf = (payload: Uint8Array): readonly (readonly string[])[] => {
    try {
      const reader = new WireReader(payload.subarray(fixedBytes));
      return Array.from({ length: listCount }, () => names(reader.string()));
    } catch {
      return [];
    }
  };
  const [ours, theirs] = [listsOf(server), listsOf(client)];
  const agreed = (list: number): string | null => theirs[list]?.find((name) => ours[list]?.includes(name) === true) ?? null;
  const [cipherIn, cipherOut] = [agreed(2), agreed(3)];
  const mac = (cipher: string | null, list: number): string | null =>
    cipher === null || /gcm|poly1305/.test(cipher) ? null : agreed(list);
  return { cipherIn, cipherOut, macIn: mac(cipherIn, 4), macOut: mac(cipherOut, 5) };
}

/** The same KEXINIT with another list of methods; the markers that are no methods stay. */
export function withMethods(client: ClientKexInit, methods: readonly string[]): Uint8Array {
  const markers = client.keyExchange.filter((name) => name === strictMarker || name === 'ext-info-c');
  return concatBytes([client.fixed, wireString([...methods, ...markers].join(',')), client.rest]);
}
