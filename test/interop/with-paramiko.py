# Runs operations with paramiko: argv = JSON of {host, port, user, key, knownHosts, ops, code (or nothing)}.
import json, sys
import paramiko

given = json.loads(sys.argv[1])
if given.get('version'):
    print(paramiko.__version__)
    sys.exit(0)
client = paramiko.SSHClient()
client.load_host_keys(given['knownHosts'])
if 'code' in given:
    transport = paramiko.Transport((given['host'], given['port']))
    transport.start_client(timeout=20)
    if not client.get_host_keys().check(f"[{given['host']}]:{given['port']}", transport.get_remote_server_key()):
        sys.exit('another host key')
    key = paramiko.Ed25519Key.from_private_key_file(given['key'])
    if transport.auth_publickey(given['user'], key):
        transport.auth_interactive(given['user'], lambda title, text, prompts: [given['code'] for _ in prompts])
    sftp = paramiko.SFTPClient.from_transport(transport)
else:
    transport = client
    client.connect(given['host'], port=given['port'], username=given['user'], key_filename=given['key'], look_for_keys=False, allow_agent=False)
    sftp = client.open_sftp()
for op in given['ops']:
    kind, args = op[0], op[1:]
    if kind == 'put':
        sftp.put(args[0], args[1], confirm=True)
    elif kind == 'get':
        sftp.get(args[0], args[1])
    elif kind == 'list':
        print('\n'.join(sftp.listdir(args[0])))
    elif kind == 'rename':
        sftp.posix_rename(args[0], args[1])
    elif kind == 'remove':
        sftp.remove(args[0])
    elif kind == 'resume':
        with sftp.open(args[0], 'rb') as remote, open(args[1], 'ab') as local:
            remote.seek(local.tell())
            remote.prefetch()
            while True:
                data = remote.read(262144)
                if not data:
                    break
                local.write(data)
transport.close()
