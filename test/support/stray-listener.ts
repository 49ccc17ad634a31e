// Owns: something that listens where nothing should: `node stray-listener.ts USER tcp|udp|unix ADDRESS [PORT]`, as that
// system user.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const [user = '', kind, address = '', port = '0'] = process.argv.slice(2);
process.setgid?.(user);
process.setuid?.(user);
const say = (bound: number): void => void process.stdout.write(`listening ${bound}\n`);
if (kind === 'udp') {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(Number(port), address, () => say(socket.address().port));
} else {
  const server = createServer((socket) => socket.end('stray\n'));
  if (kind === 'unix') server.listen(address, () => say(0));
  else server.listen(Number(port), address, () => say((server.address() as { port: number }).port));
}
