// Owns: what people write with ssh2's own server in an hour: the server on which the attacks were measured. Run:
// stock-server.ts PORT
import { createRequire } from 'node:module';

const { Server, utils } = createRequire(import.meta.url)('ssh2') as {
  Server: new (
    options: object,
    onClient: (client: Emitter) => void,
  ) => { listen(port: number, host: string, ready: () => void): void };
  utils: { generateKeyPairSync(type: string): { private: string } };
};
type Emitter = { on(event: string, listener: (...args: never[]) => void): Emitter };
type Accept = () => Emitter & {
  handle(id: number, handle: Buffer): void;
  data(id: number, data: Buffer): void;
  status(id: number, code: number): void;
};

const server = new Server({ hostKeys: [utils.generateKeyPairSync('ed25519').private] }, (client) => {
  client.on('error', () => {});
  client.on('authentication', ((context: { accept(): void }) => context.accept()) as never);
  client.on('session', ((accept: Accept) => {
    const session = accept();
    session.on('sftp', ((acceptSftp: Accept) => {
      const sftp = acceptSftp();
      sftp.on('error', () => {});
      sftp.on('OPEN', ((id: number) => sftp.handle(id, Buffer.from('0'))) as never);
      sftp.on('READ', ((id: number, _handle: Buffer, _offset: number, length: number) =>
        sftp.data(id, Buffer.alloc(length, 1))) as never);
      sftp.on('REALPATH', ((id: number) => sftp.status(id, 0)) as never);
    }) as never);
  }) as never);
});
server.listen(Number(process.argv[2]), '127.0.0.1', () =>
  process.stdout.write(utils.generateKeyPairSync('ed25519').private),
);
