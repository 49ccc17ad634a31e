// Owns: every value that an edge may send to the warden: its form, and what is
// known about it. The table of operations takes its parameters from here only.
// Must never: contain a value without a bound. What an edge sends is kept, shown and added up after it was accepted,
// too.
import { z } from 'zod';
import { canonicalAddress } from '../domain/addresses.ts';
import { isValidName, maxPathDepth } from '../domain/paths.ts';

/** The largest plaintext, in bytes, of an extent that may be sent and stored inside a row instead of an object. */
export const inlineExtentBytesMax = 65_536;
/**
 * The largest number of sessions that are reported as active with one
 * renewal of a lease. Further ones are reported with the next renewal.
 */
export const activeMax = 1000;
/**
 * More bytes per second than one process can send. What an edge reports as moved
 * counts as at most this much for each second in which it could have been moved.
 */
export const wireBytesPerSecondMax = 2 ** 34;

const base64 = (bytesMax: number) => z.base64().max(Math.ceil(bytesMax / 3) * 4);
/** Returns the schema of a string that comes from an unknown sender. It is looked up or hashed, and never kept. */
const unkept = (lengthMax: number) => z.string().max(lengthMax);
const name = z
  .string()
  .max(255)
  .refine(isValidName, 'not an allowed name')
  .describe('a name of the catalogue: 1 to 255 bytes of UTF-8, no control character, no slash');

/**
 * Closed sets (literals, enumerations, booleans) are written in the table itself, because they are bounded by
 * themselves.
 */
export const edgeWords = {
  // Names that one side issued and the other side sends back.
  startId: z.uuid().describe('names a run of the node; a hello of another run ends what the former run left open'),
  connection: z.uuid().describe('names a TCP connection for the time of its login; of this node only'),
  token: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/)
    .describe(
      '32 random bytes, base64url, as the warden issued them for a session of this node; the warden keeps only their SHA-256',
    ),
  upload: z.uuid().describe('an upload of this session, as the warden named it'),
  download: z.uuid().describe('a read handle of this session, as the warden named it'),
  customer: z.uuid().describe('a customer in the scope of the session'),
  objectId: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .describe('an object that was issued to this upload and not sealed yet'),
  index: z
    .number()
    .int()
    .min(0)
    .max(10_000_000)
    .describe('an extent of this content: the next one to seal, or one that is there'),

  // The lease.
  sessionCount: z.number().int().min(0).max(1_000_000).describe('open sessions of the node; informational only'),
  epoch: z
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .describe('up to where the node knows what ended; never kept'),

  session: z.uuid().describe('a session of the node, as the warden named it; sessions of other nodes are not touched'),
  quietMs: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31)
    .describe(
      'milliseconds since the client of a session did something; keeps it from being idle, until its maximum duration at most',
    ),

  // A key exchange, and what it proves.
  identification: base64(255).describe(
    'an identification line without CR LF: SSH-2.0- and printable ASCII, or it is not signed',
  ),
  clientKexInit: base64(16_384).describe('a KEXINIT; hashed'),
  serverKexInit: base64(4096).describe('a KEXINIT with the challenge of this warden; hashed'),
  exchangeValue: base64(2048).describe('a public value of the key agreement; hashed'),
  sharedSecret: base64(512).describe('K without its length; hashed, never kept'),
  hostKey: base64(1024).describe('the public half of a host key of this gateway'),

  // A login.
  address: z
    .string()
    .max(45)
    .refine((text) => text !== '' && canonicalAddress(text) === text, 'not an address in canonical form')
    .describe(
      "a client's address in canonical form (RFC 5952, no zone, an IPv4-mapped one as IPv4); kept as reported by the edge",
    ),
  port: z.number().int().min(0).max(65_535).describe("a client's port; kept as reported by the edge"),
  username: unkept(256).describe('what the client typed as its name; looked up when it could be one, never kept'),
  algorithm: unkept(64).describe('the name of a signature algorithm; compared with a list'),
  publicKey: base64(16_384).describe('a public key in the SSH wire form; looked up by its fingerprint'),
  signature: base64(16_384).describe('a signature blob (RFC 4252); verified'),
  answer: unkept(256).describe('an answer to a prompt; a secret, never kept'),
  password: unkept(256).describe('a password; a secret, hashed'),

  // The console.
  consoleLine: unkept(512).describe("a line of the console's grammar; only the parsed command is kept"),
  consoleText: unkept(16_384).describe('what the console asked for: a code, or a signed request'),

  // What the node reports about itself.
  selfTestKey: base64(1024).describe("the public key of the node's own account"),
  verdictText: z
    .string()
    .max(256)
    .refine((text) => /^[\x20-\x7e]*$/.test(text), 'not printable ASCII')
    .describe('why a control was effective or not, printable ASCII; shown to operators as reported by the edge'),

  // The tree of directories and files.
  name,
  path: z
    .array(name)
    .max(maxPathDepth)
    .describe('names from the root on, at most 32; looked up inside the scope of the session'),
  pageLength: z.number().int().min(1).max(1000).describe('names in one page; each is charged'),
  standing: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .describe('the number of a version, as an offer named it; nothing with a higher one is given up for the upload'),
  modifiedAt: z
    .number()
    .int()
    .min(0)
    .max(0xffff_ffff)
    .describe('seconds since 1970, as SFTP has them (until 2106); kept as its sender says'),

  // Contents and amounts of bytes.
  extentBytes: z
    .number()
    .int()
    .min(1)
    .max(16_777_216)
    .describe('plaintext bytes of an extent; they must fit the length of what was sealed'),
  sealedBytes: z
    .number()
    .int()
    .min(1)
    .max(16_777_216)
    .describe('ciphertext bytes of an extent; the acknowledgement of the store covers them'),
  sealedDigest: base64(32).describe('digest of a sealed object; the acknowledgement of the store covers it'),
  acknowledgement: base64(32).describe('MAC of the store over node, object, length and digest; verified'),
  inline: base64(inlineExtentBytesMax + 128).describe('ciphertext of a small extent; kept once it is charged'),
  size: z
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .describe('bytes of a closed upload; refused unless it is what was stored'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .describe('SHA-256 of the whole content; the receipt says which node hashed it'),
  offset: z
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .describe('the offset to read from; beyond the end nothing is returned; never kept'),
  permitBytes: z
    .number()
    .int()
    .min(1)
    .max(2 ** 32)
    .describe('bytes to be sent over the wire; the answer permits that many or fewer'),
  movedBytes: z
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .describe(
      'bytes that were moved; kept no larger than the wire can have carried since the handle or session began, and 0 where no key left',
    ),
} as const;
