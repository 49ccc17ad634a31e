// Owns: the whole language of the SSH console: one line in, one command out.
// Must never: accept a word that is not in this file. There is no shell behind the console.

export type ConsoleCommand =
  | { readonly verb: 'help' }
  | { readonly verb: 'whoami' }
  | { readonly verb: 'enroll' }
  | { readonly verb: 'unlock'; readonly account: string; readonly minutes: number }
  | { readonly verb: 'lock'; readonly account: string }
  | { readonly verb: 'windows' }
  | { readonly verb: 'keys' }
  | { readonly verb: 'keys-add' }
  | { readonly verb: 'keys-confirm' | 'keys-revoke'; readonly fingerprint: string }
  | { readonly verb: 'receipt'; readonly name: string }
  | { readonly verb: 'receipt-key' };
type Parsed = { readonly command: ConsoleCommand } | { readonly fault: string };

export const lineBytesMax = 512;
const account = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const fingerprint = /^SHA256:[A-Za-z0-9+/]{43}$/;
const duration = /^([1-9]\d{0,3})([hm])$/;
const minutesMax = 24 * 60;

export const consoleHelp = [
  'Files are exchanged by sftp; there is no shell here. These commands work:',
  '',
  'whoami                        who you are here, and what you may do',
  'enroll                        enrol your second factor (log in with your key and the ticket you were given)',
  'windows                       the machine accounts of your organisation, and until when each may log in with its key alone',
  'unlock ACCOUNT --for 8h       let a machine account log in with its key alone for this time (at most 24h; also 30m)',
  'lock ACCOUNT                  close the open window of a machine account at once, and end the sessions that it opened',
  'keys                          your keys and those of the machine accounts',
  'keys add                      ask for a new key; the request and its two signatures are read from standard input',
  'keys confirm SHA256:…         make a key valid at once that a colleague asked for',
  'keys revoke SHA256:…          revoke this key for good',
  'receipt NAME                  the signed receipt of a file, such as deposit/pain.001.xml',
  'receipt-key                   the public key with which receipts are signed, and how to check a receipt with it',
  'help                          these lines, and which installation this is',
].join('\n');

/** What other programs ask a server to run, by the last part of its name, and what their users do instead. */
const foreign: Readonly<Record<string, string>> = {
  scp: 'the old protocol of scp is not served here; use sftp, or scp without -O (before OpenSSH 9.0: scp -s)',
  rsync: 'rsync is not served here; use sftp, or a program that copies directories over it, such as lftp or rclone',
  'sftp-server': 'sftp is a subsystem here, and no command; let your program ask for the subsystem sftp',
  'internal-sftp': 'sftp is a subsystem here, and no command; let your program ask for the subsystem sftp',
};
const noShell = 'there is no such command, and no shell; files are exchanged by sftp';

const fault = (text: string): Parsed => ({ fault: `${text}; nothing was done. Try: help` });

/** Parses one line. Words are separated by single spaces; the name of a receipt is the whole rest of the line. */
export function parseConsoleLine(line: string): Parsed {
  if (new TextEncoder().encode(line).length > lineBytesMax)
    return fault('the line is too long for a command; files are exchanged by sftp');
  if (/\p{Cc}/u.test(line) || !line.isWellFormed()) return fault('the line contains a character that is not allowed');
  const [verb = '', ...words] = line.trim().split(' ');
  const [first = '', second = '', third = ''] = words;
  const only = (command: ConsoleCommand): Parsed =>
    words.length === 0 ? { command } : fault(`${verb} takes nothing more`);
  switch (verb) {
    case '':
    case 'help':
      return only({ verb: 'help' });
    case 'whoami':
    case 'enroll':
    case 'windows':
    case 'receipt-key':
      return only({ verb });
    case 'lock':
      return words.length === 1 && account.test(first)
        ? { command: { verb, account: first } }
        : fault('expected: lock ACCOUNT');
    case 'unlock': {
      const [, count = '', unit] = duration.exec(third) ?? [];
      const minutes = Number(count) * (unit === 'h' ? 60 : 1);
      if (words.length !== 3 || !account.test(first) || second !== '--for' || count === '')
        return fault('expected: unlock ACCOUNT --for 8h');
      return minutes <= minutesMax
        ? { command: { verb, account: first, minutes } }
        : fault('a window is open for at most 24h');
    }
    case 'keys': {
      if (words.length === 0) return { command: { verb } };
      if (first === 'add' && words.length === 1) return { command: { verb: 'keys-add' } };
      if ((first === 'confirm' || first === 'revoke') && words.length === 2 && fingerprint.test(second))
        return { command: { verb: `keys-${first}`, fingerprint: second } };
      return fault('expected: keys, keys add, keys confirm SHA256:… or keys revoke SHA256:…');
    }
    case 'receipt': {
      const name = line.trim().slice('receipt '.length);
      return name === '' ? fault('expected: receipt NAME') : { command: { verb, name } };
    }
    default: {
      const program = verb.slice(verb.lastIndexOf('/') + 1);
      return fault((Object.hasOwn(foreign, program) ? foreign[program] : undefined) ?? noShell);
    }
  }
}
