# Runs operations with asyncssh: argv = JSON of {host, port, user, key, knownHosts, ops, code (or nothing)}.
import asyncio, json, os, sys
import asyncssh

given = json.loads(sys.argv[1])
if given.get('version'):
    print(asyncssh.__version__)
    sys.exit(0)


class Answers(asyncssh.SSHClient):
    def kbdint_auth_requested(self):
        return '' if 'code' in given else None

    def kbdint_challenge_received(self, name, instructions, lang, prompts):
        return [given['code'] for _ in prompts]


async def main():
    async with asyncssh.connect(given['host'], given['port'], username=given['user'], client_keys=[given['key']], known_hosts=given['knownHosts'], agent_path=None, client_factory=Answers) as connection:
        async with connection.start_sftp_client() as sftp:
            for op in given['ops']:
                kind, args = op[0], op[1:]
                if kind == 'put':
                    await sftp.put(args[0], args[1])
                elif kind == 'get':
                    await sftp.get(args[0], args[1])
                elif kind == 'list':
                    print('\n'.join(await sftp.listdir(args[0])))
                elif kind == 'rename':
                    await sftp.posix_rename(args[0], args[1])
                elif kind == 'remove':
                    await sftp.remove(args[0])
                elif kind == 'resume':
                    done = os.path.getsize(args[1])
                    async with sftp.open(args[0], 'rb') as remote:
                        with open(args[1], 'ab') as local:
                            while True:
                                data = await remote.read(262144, done)
                                if not data:
                                    break
                                local.write(data)
                                done += len(data)


asyncio.run(main())
