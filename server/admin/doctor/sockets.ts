// Owns: reading the sockets of this machine from `/proc/self/net`, and which processes hold them, as far as the kernel
// shows that to this process.
// Must never: name a process that was not seen holding the socket.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { endianness, networkInterfaces } from 'node:os';
import { type NetSocket, parseNetSockets, parseUnixSockets } from '../../domain/listening-sockets.ts';
import { entryPart, filePart } from '../../domain/path-parts.ts';

export type TcpListener = NetSocket & {
  /** The ids of the processes that hold the socket, among those that this process may inspect. */
  readonly holders: readonly number[];
};
export type UnixListener = { readonly path: string; readonly mode: number | null; readonly uid: number | null };
export type Sockets = {
  readonly tcp: readonly TcpListener[];
  readonly unix: readonly UnixListener[];
  /** The addresses of this host that are not loopback addresses. */
  readonly addresses: readonly string[];
};

const processesMax = 20_000;
const descriptorsMax = 20_000;

function processIds(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .slice(0, processesMax)
    .map(Number);
}

/**
 * Returns the holders of each socket, by inode. Processes of other users cannot be inspected; their sockets are
 * attributed to the user.
 */
function socketHolders(): ReadonlyMap<number, readonly number[]> {
  const holders = new Map<number, number[]>();
  for (const pid of processIds()) {
    let descriptors: readonly string[];
    try {
      descriptors = readdirSync(`/proc/${pid}/fd`).slice(0, descriptorsMax);
    } catch {
      continue;
    }
    for (const one of descriptors) {
      let target: string;
      try {
        target = readlinkSync(`/proc/${pid}/fd/${entryPart(one)}`);
      } catch {
        continue;
      }
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode === undefined) continue;
      const known = holders.get(Number(inode));
      if (known === undefined) holders.set(Number(inode), [pid]);
      else if (!known.includes(pid)) known.push(pid);
    }
  }
  return holders;
}

const familiesMax = 100;

/** Returns the ids of a process and of its ancestors, the process itself first. */
export function ancestorsOf(pid: number): readonly number[] {
  const line: number[] = [];
  for (let at = pid; at > 1 && line.length < familiesMax; ) {
    line.push(at);
    try {
      // The second field is the program's name in parentheses and may contain any character.
      at = Number(
        readFileSync(`/proc/${at}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')[1],
      );
    } catch {
      break;
    }
  }
  return line;
}

/** Returns the role of a process, such as `edge partner-1` or `warden`; otherwise the name of its program. */
export function nameOfProcess(pid: number): string {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const at = args.findIndex((arg) => arg.endsWith('/server/main.ts'));
    const role = at < 0 ? undefined : args[at + 1];
    if (role === undefined) return `process ${pid} (${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()})`;
    const node = args[args.indexOf('--node') + 1];
    return role === 'edge' && node !== undefined ? `edge ${node}` : role;
  } catch {
    return `process ${pid}`;
  }
}

/** Reads the sockets. Throws a RangeError, or the error of the file system, when the kernel's tables cannot be read. */
export function readSockets(runtimeDirectory: string): Sockets {
  // `/proc/net` is not used, because it is hidden from a process that may see only processes (ProcSubset=pid).
  const table = (name: string): string => readFileSync(`/proc/self/net/${filePart(name)}`, 'utf8');
  const holders = socketHolders();
  const tcp = ['tcp', 'tcp6'].flatMap((name) => {
    const six = name === 'tcp6';
    let text: string;
    try {
      text = table(name);
    } catch (error) {
      // A kernel without IPv6 has no such table.
      if (six) return [];
      throw error;
    }
    return parseNetSockets(text, endianness());
  });
  return {
    tcp: tcp
      .filter((one) => one.state === 'listening')
      .map((one) => ({ ...one, holders: holders.get(one.inode) ?? [] })),
    unix: parseUnixSockets(table('unix'))
      .filter((one) => one.isListening && one.path.startsWith(`${runtimeDirectory}/`))
      .map(({ path }) => {
        try {
          const { mode, uid } = statSync(path);
          return { path, mode, uid };
        } catch {
          return { path, mode: null, uid: null };
        }
      }),
    addresses: Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).filter((one) => !one.internal).map((one) => one.address),
    ),
  };
}
