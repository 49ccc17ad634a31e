import { X509Certificate } from 'node:crypto';
import { operatorRoles } from '../../server/rpc/operator-words.ts';
import { changing } from '../changing.ts';
import { type Command, type Given, positional } from '../command.ts';
import { inputText } from '../input-file.ts';
import { table, when } from '../output.ts';

const reason = { name: 'reason', value: 'TEXT', help: 'why; goes on the record', required: true } as const;
const role = { name: 'role', value: 'ROLE', help: operatorRoles.join(', '), required: true } as const;
const certificate = {
  name: 'certificate',
  value: 'FILE',
  help: 'cert.pem that the authority issued for their own key',
  required: true,
} as const;

/** Returns the public key of a certificate (SPKI, DER, base64) and the name that the authority put into it. */
export function certificateOf(file: string): { readonly name: string; readonly publicKey: string } {
  const pem = inputText(file);
  if (pem.includes('PRIVATE KEY')) throw new RangeError(`${file} holds a private key: it never leaves its owner. Give the certificate`);
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(pem);
  } catch {
    throw new RangeError(`${file} is not a certificate (PEM)`);
  }
  const name = /^CN=(.+)$/m.exec(parsed.subject)?.[1];
  if (name === undefined) throw new RangeError(`the certificate in ${file} has no name`);
  return { name, publicKey: parsed.publicKey.export({ type: 'spki', format: 'der' }).toString('base64') };
}

function roleOf(given: Given): (typeof operatorRoles)[number] {
  const found = operatorRoles.find((one) => one === given.options.role);
  if (found === undefined) throw new RangeError(`--role takes ${operatorRoles.join(', ')}, not "${given.options.role}"`);
  return found;
}

function ownCertificate(given: Given, name: string): string {
  const { name: said, publicKey } = certificateOf(given.options.certificate ?? '');
  if (said !== name) throw new RangeError(`that certificate is for ${said}, not for ${name}`);
  return publicKey;
}

export const operatorList: Command = {
  words: ['operator', 'list'],
  positionals: [],
  options: [],
  help: 'Lists operators with their roles and the keys they sign with.',
  example: 'cofferctl operator list',
  run: async (client) => {
    const data = await client.call('operator.list', {});
    const rows = data.operators.flatMap((one) => {
      const keys = one.keys.filter((key) => key.endedAt === null);
      const first = [one.name, one.role, one.state, when(one.createdAt)];
      return keys.length === 0 ? [[...first, 'none']] : keys.map((key, i) => [...(i === 0 ? first : ['', '', '', '']), key.fingerprint]);
    });
    return {
      data,
      text: table({ columns: ['OPERATOR', 'ROLE', 'STATE', 'SINCE', 'KEY'], rows, empty: 'no operators: cofferctl bootstrap' }),
    };
  },
};

export const operatorCreate: Command = {
  words: ['operator', 'create'],
  positionals: ['NAME'],
  options: [role, certificate, reason],
  help: 'Makes an operator, by the certificate of a key that is their own.',
  example: 'cofferctl operator create dora --role operator --certificate dora.pem --reason "joined the team"',
  changes: true,
  run: async (client, given) => {
    const name = positional(given, 0);
    const params = { name, role: roleOf(given), publicKey: ownCertificate(given, name), reason: given.options.reason ?? '' };
    return changing(client, given, 'operator.create', params, (data) => `operator ${data.name} made, with key ${data.fingerprint}\n`);
  },
};

export const operatorSetRole: Command = {
  words: ['operator', 'set-role'],
  positionals: ['NAME'],
  options: [role, reason],
  help: 'Gives an operator another role.',
  example: 'cofferctl operator set-role dora --role auditor --reason "moved to audit"',
  changes: true,
  run: async (client, given) => {
    const name = positional(given, 0);
    const params = { name, role: roleOf(given), reason: given.options.reason ?? '' };
    return changing(client, given, 'operator.set-role', params, () => `${name} is ${params.role} now\n`);
  },
};

export const operatorAddKey: Command = {
  words: ['operator', 'add-key'],
  positionals: ['NAME'],
  options: [certificate, reason],
  help: 'Registers one more key of an operator, for a change of keys. The former one stays good until `operator end-key`.',
  example: 'cofferctl operator add-key dora --certificate dora-2027.pem --reason "yearly change of keys"',
  changes: true,
  run: async (client, given) => {
    const name = positional(given, 0);
    const params = { name, publicKey: ownCertificate(given, name), reason: given.options.reason ?? '' };
    return changing(client, given, 'operator.add-key', params, (data) => `${name} may use key ${data.fingerprint} too\n`);
  },
};

export const operatorEndKey: Command = {
  words: ['operator', 'end-key'],
  positionals: ['NAME', 'FINGERPRINT'],
  options: [reason],
  help: 'Ends one key of an operator at once. What it signed stays signed; it signs nothing more.',
  example: 'cofferctl operator end-key dora 3b1f… --reason "laptop lost"',
  changes: true,
  run: async (client, given) => {
    const params = { name: positional(given, 0), fingerprint: positional(given, 1), reason: given.options.reason ?? '' };
    return changing(client, given, 'operator.end-key', params, () => 'the key is ended\n');
  },
};

export const operatorSuspend: Command = {
  words: ['operator', 'suspend'],
  positionals: ['NAME'],
  options: [reason],
  help: 'Suspends an operator at once and raises an alert. `operator resume` needs two operators.',
  example: 'cofferctl operator suspend dora --reason "signed what nobody asked for"',
  changes: true,
  run: async (client, given) => {
    const name = positional(given, 0);
    return changing(client, given, 'operator.suspend', { name, reason: given.options.reason ?? '' }, () => `${name} is suspended\n`);
  },
};

export const operatorResume: Command = {
  words: ['operator', 'resume'],
  positionals: ['NAME'],
  options: [reason],
  help: 'Lets a suspended operator work again.',
  example: 'cofferctl operator resume dora --reason "cleared"',
  changes: true,
  run: async (client, given) => {
    const name = positional(given, 0);
    return changing(client, given, 'operator.resume', { name, reason: given.options.reason ?? '' }, () => `${name} is active again\n`);
  },
};
