// Owns: parsing a client's SSH_MSG_KEXINIT (RFC 4253 section 7.1), and choosing a key exchange method from it.
// Must never: accept a list that reaches beyond its own packet.
import { isKeyExchangeMethod, type KeyExchangeMethod, type Profile } from './algorithms.ts';
import { CofferdamError } from './errors.ts';
import { concatBytes, WireReader, wireString } from './ssh-wire.ts';

/** The length of the message number (1 byte) and the cookie (16 bytes). */
const fixedBytes = 17;
const listCount = 10;
const payloadBytesMax = 16_384;
const strictMarker = 'kex-strict-c-v00@openssh.com';

type ClientKexInit = {
  readonly keyExchange: readonly string[];
  readonly hostKeys: readonly string[];
  readonly hasStrict: boolean;
  readonly guessFollows: boolean;
  /** All bytes behind the list of key exchange methods. */
  readonly rest: Uint8Array;
  readonly fixed: Uint8Array;
};

const names = (bytes: Uint8Array): readonly string[] =>
  bytes.length === 0 ? [] : new TextDecoder('latin1').decode(bytes).split(',');

/** Parses the payload. Throws `invalid` when it does not have the form of the RFC, or is longer than 16 KiB. */
export function parseClientKexInit(payload: Uint8Array): ClientKexInit {
  // What is too short ends within its first list, which the reader refuses.
  if (payload.length > payloadBytesMax || payload[0] !== 20) throw new CofferdamError('invalid', 'malformed KEXINIT');
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

/** Returns the first method of the client's list that the profile has (RFC 4253 section 7.1), or undefined. */
export function chooseMethod(client: ClientKexInit, profile: Profile): KeyExchangeMethod | undefined {
  return client.keyExchange.find(
    (name): name is KeyExchangeMethod => isKeyExchangeMethod(name) && profile.keyExchange.includes(name),
  );
}

/**
 * Returns whether the packet that follows a guess has to be ignored, because the client guessed another key exchange
 * method or host key algorithm than the negotiated one.
 */
export function isGuessWrong(client: ClientKexInit, method: KeyExchangeMethod, hostKeys: readonly string[]): boolean {
  const hostKey = client.hostKeys.find((name) => hostKeys.includes(name));
  return client.guessFollows && (client.keyExchange[0] !== method || client.hostKeys[0] !== hostKey);
}

export type ConnectionAlgorithms = {
  readonly cipherIn: string | null;
  readonly cipherOut: string | null;
  /** Null when the cipher authenticates the data by itself. */
  readonly macIn: string | null;
  readonly macOut: string | null;
};

/** The ten lists of a KEXINIT payload; none when it cannot be parsed. */
function listsOf(payload: Uint8Array): readonly (readonly string[])[] {
  try {
    const reader = new WireReader(payload.subarray(fixedBytes));
    return Array.from({ length: listCount }, () => names(reader.string()));
  } catch {
    return [];
  }
}

/** Ciphers that authenticate the data by themselves need no MAC. */
const isAead = (cipher: string): boolean => /gcm|poly1305/.test(cipher);

/**
 * Returns what two KEXINIT payloads agree on for the connection (RFC 4253 section 7.1): for each list, the first name
 * of the client's list that the server has too. `In` is the direction from the client. A value is null when there is no
 * common name, or when one payload cannot be parsed.
 */
export function agreedAlgorithms(client: Uint8Array, server: Uint8Array): ConnectionAlgorithms {
  const [ours, theirs] = [listsOf(server), listsOf(client)];
  const agreed = (list: number): string | null =>
    theirs[list]?.find((name) => ours[list]?.includes(name) === true) ?? null;
  const [cipherIn, cipherOut] = [agreed(2), agreed(3)];
  const mac = (cipher: string | null, list: number): string | null =>
    cipher === null || isAead(cipher) ? null : agreed(list);
  return { cipherIn, cipherOut, macIn: mac(cipherIn, 4), macOut: mac(cipherOut, 5) };
}

/** What the lists of a KEXINIT behind the key exchange methods are lists of, in words. */
const words = ['host key algorithm', 'cipher', 'cipher', 'MAC', 'MAC', 'compression'] as const;

/**
 * Returns the first list, other than that of the key exchange methods, in which two KEXINIT payloads have no name in
 * common, with the server's names; undefined when there is no such list.
 */
export function nothingInCommon(
  client: Uint8Array,
  server: Uint8Array,
): { readonly what: (typeof words)[number]; readonly ours: readonly string[] } | undefined {
  const [ours, theirs] = [listsOf(server), listsOf(client)];
  const agreed = (list: number): string | undefined => theirs[list]?.find((name) => ours[list]?.includes(name));
  for (const [i, what] of words.entries()) {
    const list = i + 1;
    const isNeeded = what !== 'MAC' || !isAead(agreed(list - 2) ?? '');
    if (isNeeded && agreed(list) === undefined) return { what, ours: ours[list] ?? [] };
  }
  return undefined;
}

/**
 * Returns the same KEXINIT with another list of key exchange methods. The markers in the list that are not methods
 * stay.
 */
export function withMethods(client: ClientKexInit, methods: readonly string[]): Uint8Array {
  const markers = client.keyExchange.filter((name) => name === strictMarker || name === 'ext-info-c');
  return concatBytes([client.fixed, wireString([...methods, ...markers].join(',')), client.rest]);
}
