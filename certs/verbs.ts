// Owns: the verbs of the authority's command line: the options of each, what it does, and its texts.
// Must never: change anything before everything that was given has been checked.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CofferdamError } from '../server/domain/errors.ts';
import { spkiFingerprint, spkiOf } from './authority.ts';
import { Authority, authorityPaths, createAuthorityDirectory } from './authority-directory.ts';
import { adminServerName } from './development.ts';
import { checkFree, readText, writeFault, writeNew } from './files.ts';
import { listing, listingText } from './list.ts';
import { parseReason } from './reasons.ts';
import { checkOperatorName, keyOfRequest, makeRequest } from './request.ts';

export type Given = Readonly<Record<string, string | undefined>>;
type Said = { readonly out: string; readonly warnings?: readonly string[]; readonly isFault?: boolean };
export type Verb = {
  readonly name: string;
  /** The options that take a value. A `!` behind the name means that the option is required. */
  readonly takes: readonly string[];
  readonly flags?: readonly string[];
  readonly help: string;
  readonly run: (given: Given) => Promise<Said>;
};

const daysMax = { authority: 7300, server: 825, operator: 366 } as const;
const daysUsual = { authority: 3650, server: 825, operator: 365 } as const;

function daysOf(given: Given, kind: keyof typeof daysMax): number {
  const text = given.days ?? String(daysUsual[kind]);
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (days >= 1 && days <= daysMax[kind]) return days;
  throw new CofferdamError('invalid', `--days takes a whole number from 1 to ${daysMax[kind]}, not "${text}"`);
}

/** Returns an option whose presence main.ts has checked. */
const text = (given: Given, name: string): string => given[name] ?? '';

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw writeFault(path, cause);
  }
}

const colons = (hex: string): string => hex.replace(/(..)(?=.)/g, '$1:').toUpperCase();
const identity = (name: string, spki: Buffer): string =>
  [`operator     ${name}`, `key SHA-256  ${spkiFingerprint(spki)}`, `public key   ${spki.toString('base64')}`, ''].join(
    '\n',
  );

async function authority(given: Given): Promise<Said> {
  const name = given.name ?? 'Cofferdam authority';
  if (!/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/.test(name))
    throw new CofferdamError('invalid', '--name takes 1 to 64 letters, digits, spaces, dots, hyphens and underscores');
  const out = text(given, 'out');
  await createAuthorityDirectory(out, name, daysOf(given, 'authority'));
  return {
    out: `a new authority was written to ${out}. Keep it off the gateway, and keep a copy: whoever has key.pem can make operators' certificates\n`,
  };
}

async function server(given: Given): Promise<Said> {
  const out = text(given, 'out');
  const days = daysOf(given, 'server');
  return Authority.open(text(given, 'authority'), async (opened) => {
    const at = (name: string): string => join(out, name);
    const { crl } = opened;
    const planned = ['cert.pem', 'key.pem', 'ca.pem', 'crl.pem'].map(at);
    checkFree(planned);
    const issued = await opened.issueServer(adminServerName, days);
    makeDirectory(out);
    writeNew([
      { path: at('key.pem'), content: issued.key, mode: 0o400 },
      { path: at('cert.pem'), content: issued.certificate, mode: 0o444 },
      { path: at('ca.pem'), content: opened.certificate, mode: 0o444 },
      { path: at('crl.pem'), content: crl, mode: 0o644 },
    ]);
    return {
      out: `${planned.join(', ')} are ready: move them into certs/admin of the gateway, owned by its admin user\n`,
    };
  });
}

async function request(given: Given): Promise<Said> {
  const out = text(given, 'out');
  const made = await makeRequest(text(given, 'name'));
  const path = join(out, 'request.pem');
  checkFree([join(out, 'key.pem'), path]);
  makeDirectory(out);
  writeNew([
    { path: join(out, 'key.pem'), content: made.key, mode: 0o600 },
    { path, content: made.request, mode: 0o644 },
  ]);
  const spki = await keyOfRequest(made.request, text(given, 'name'));
  return {
    out: `${identity(text(given, 'name'), spki)}Give ${path} to the keeper of the authority, and read the key's SHA-256 to them by another way.\nkey.pem stays here.\n`,
  };
}

async function operator(given: Given): Promise<Said> {
  const [file, name] = [text(given, 'request'), text(given, 'name')];
  const days = daysOf(given, 'operator');
  const spki = await keyOfRequest(readText(file, 'the request'), checkOperatorName(name));
  const out = given.out ?? join(dirname(file), 'cert.pem');
  checkFree([out]);
  return Authority.open(text(given, 'authority'), async (opened) => {
    const certificate = await opened.issueOperator(spki, name, days);
    writeNew([{ path: out, content: certificate, mode: 0o644 }]);
    const { serial } = opened.entryOf(certificate);
    return {
      out: `${identity(name, spki)}serial       ${serial}\nHand over ${out} only when ${name} has confirmed this SHA-256 by another way (by telephone, in person).\nIt goes beside their key.pem, with ${authorityPaths(opened.directory).certificate} as ca.pem.\n`,
    };
  });
}

async function renew(given: Given): Promise<Said> {
  const pem = readText(text(given, 'certificate'), 'the certificate');
  const out = text(given, 'out');
  return Authority.open(text(given, 'authority'), async (opened) => {
    const entry = opened.entryOf(pem);
    if (entry.kind !== 'operator')
      throw new CofferdamError(
        'invalid',
        entry.kind === 'server'
          ? `the ${entry.kind} gets a new key with its new certificate: certs server --authority ${opened.directory} --out NEWDIR`
          : 'an authority is not renewed: make a new one (docs/operations/certificates.md)',
      );
    if (entry.revokedAt !== null)
      throw new CofferdamError('conflict', `this certificate was revoked at ${entry.revokedAt} (${entry.reason})`);
    const days = daysOf(given, 'operator');
    checkFree([out]);
    const certificate = await opened.issueOperator(spkiOf(pem), entry.name, days);
    writeNew([{ path: out, content: certificate, mode: 0o644 }]);
    return {
      out: `${out}: operator ${entry.name}, the same key, ${days} more days from now. It replaces their cert.pem; the former one is good until ${entry.notAfter}\n`,
    };
  });
}

async function revoke(given: Given): Promise<Said> {
  const reason = parseReason(text(given, 'reason'));
  if ((given.certificate === undefined) === (given.serial === undefined))
    throw new CofferdamError('invalid', 'name one certificate: --certificate FILE or --serial HEX');
  const serial = given.serial ?? '';
  if (given.certificate === undefined && !/^[0-9a-f](?::?[0-9a-f]){0,63}$/i.test(serial))
    throw new CofferdamError('invalid', `--serial takes hexadecimal digits, not "${serial}"`);
  const pem = given.certificate === undefined ? undefined : readText(given.certificate, 'the certificate');
  return Authority.open(text(given, 'authority'), async (opened) => {
    const entry = pem === undefined ? opened.entryOfSerial(serial) : opened.entryOf(pem);
    const revoked = await opened.revoke(entry, reason);
    if (revoked.length === 0)
      return {
        out: `${colons(entry.serial)} of ${entry.name} was revoked at ${entry.revokedAt} already: nothing to do\n`,
      };
    const lines = revoked.map((one) => `revoked: ${colons(one.serial)} of the ${one.kind} ${one.name}`);
    return { out: `${lines.join('\n')}\n${copyCrl(opened.directory)}` };
  });
}

const copyCrl = (directory: string): string =>
  `Copy ${authorityPaths(directory).crl} to certs/admin/crl.pem of the gateway: it takes effect there within seconds, without a restart.\n`;

async function crl(given: Given): Promise<Said> {
  return Authority.open(text(given, 'authority'), async (opened) => ({
    out: `revocation list number ${await opened.reissueCrl()} is written.\n${copyCrl(opened.directory)}`,
  }));
}

async function list(given: Given): Promise<Said> {
  return Authority.open(text(given, 'authority'), async (opened) => {
    const found = listing(opened);
    return {
      out: given.json === undefined ? listingText(found) : `${JSON.stringify(found, null, 2)}\n`,
      warnings: found.warnings,
      isFault: found.warnings.length > 0,
    };
  });
}

export const verbs: readonly Verb[] = [
  {
    name: 'authority',
    takes: ['out!', 'name', 'days'],
    help: `a new authority (${daysUsual.authority} days) in a new directory`,
    run: authority,
  },
  {
    name: 'server',
    takes: ['authority!', 'out!', 'days'],
    help: `key and certificate of the admin process (${daysUsual.server} days at most), with copies of ca.pem and crl.pem`,
    run: server,
  },
  {
    name: 'request',
    takes: ['name!', 'out!'],
    help: "an operator's own key, and a request for its certificate; needs no authority",
    run: request,
  },
  {
    name: 'operator',
    takes: ['authority!', 'request!', 'name!', 'days', 'out'],
    help: `a certificate for a request (${daysUsual.operator} days; at most ${daysMax.operator}); without --out: cert.pem beside the request`,
    run: operator,
  },
  {
    name: 'renew',
    takes: ['authority!', 'certificate!', 'out!', 'days'],
    help: "an operator's certificate again, for the same key; for the admin process use `server`",
    run: renew,
  },
  {
    name: 'revoke',
    takes: ['authority!', 'certificate', 'serial', 'reason!'],
    help: 'revokes every certificate of that key and writes a new list; with the reason `superseded` that certificate only',
    run: revoke,
  },
  { name: 'crl', takes: ['authority!'], help: 'a new revocation list, good for 180 days', run: crl },
  {
    name: 'list',
    takes: ['authority!'],
    flags: ['json'],
    help: 'everything issued, with the days left; exit code 1 when something ends within 30 days',
    run: list,
  },
];
