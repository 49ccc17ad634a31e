// Owns: the client process of `npm run bench:sessions`. It logs in as often as it is told, opens SFTP in every session,
// prints the number of sessions when all of them are open, and then says nothing more until its input ends. Its
// arguments are the port, the account, the file of its key, and the number of sessions.
import { readFileSync } from 'node:fs';
import { SftpClient } from '../test/support/sftp-client.ts';

const [port, account = '', keyFile = '', count] = process.argv.slice(2);
/** How many log in at the same time: fewer than one source may have that are not logged in. */
const atOnce = 16;
const readyMs = 120_000;
const privateKey = readFileSync(keyFile, 'utf8');
const clients: SftpClient[] = [];
let begun = 0;

async function logIn(): Promise<void> {
  while (begun < Number(count)) {
    begun += 1;
    const client = await SftpClient.connect({ port: Number(port), username: account, privateKey, readyMs });
    clients.push(client);
    void client.closed.then((words) => {
      process.stderr.write(`a session ended: ${words ?? 'without a word'}\n`);
      process.exit(1);
    });
  }
}

await Promise.all(Array.from({ length: atOnce }, logIn));
process.stdout.write(`${clients.length}\n`);
process.stdin.resume();
process.stdin.once('end', () => process.exit(0));
