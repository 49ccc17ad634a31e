// Owns: cofferctl, loaded once for many commands of one test file: the same code and the same socket, without starting
// a program for each command.
import { fork } from 'node:child_process';
import { cofferctl } from '../../admin-cli/main.ts';
import type { Done } from './world.ts';

type Asked = { readonly args: readonly string[]; readonly directory: string };

/** In the resident: one command after the other; what it writes is caught. */
function serve(): void {
  let [out, err] = ['', ''];
  process.stdout.write = (text: string | Uint8Array): boolean => {
    out += String(text);
    return true;
  };
  process.stderr.write = (text: string | Uint8Array): boolean => {
    err += String(text);
    return true;
  };
  process.on('message', ({ args, directory }: Asked) => {
    [out, err] = ['', ''];
    process.env.COFFERDAM_VAR = directory;
    void cofferctl(args).then((code) => process.send?.({ code, out, err } satisfies Done));
  });
  process.on('disconnect', () => process.exit(0));
}

let resident: ReturnType<typeof fork> | undefined;
let isBusy = false;

/**
 * Runs a command there. Returns undefined when it is busy with another one: then the command needs a process of its
 * own.
 */
export function askResident(args: readonly string[], directory: string, timeoutMs: number): Promise<Done> | undefined {
  if (isBusy) return undefined;
  if (resident === undefined) {
    resident = fork(import.meta.filename, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    resident.setMaxListeners(0);
  }
  const own = resident;
  isBusy = true;
  // A file is over when its tests are: nothing waits for an idle resident, which ends with it.
  own.ref();
  own.channel?.ref();
  return new Promise((resolve) => {
    const timer = setTimeout(() => own.kill('SIGKILL'), timeoutMs);
    const end = (done: Done): void => {
      clearTimeout(timer);
      own.off('message', end);
      own.off('exit', gone);
      own.unref();
      own.channel?.unref();
      isBusy = false;
      resolve(done);
    };
    const gone = (): void => {
      resident = undefined;
      end({ code: null, out: '', err: 'cofferctl ended, or was too slow' });
    };
    own.on('message', end as (message: unknown) => void);
    own.on('exit', gone);
    own.send({ args, directory } satisfies Asked);
  });
}

if (import.meta.main) serve();
