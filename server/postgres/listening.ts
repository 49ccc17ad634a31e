// Owns: one connection that receives the notifications of one channel, and that is made again whenever it is lost.
// Must never: let the listener believe that it received everything. After each connection the listener is told that
// some notifications may have been missed.
import pg from 'pg';
import { detach, givenUp, unexpected } from '../domain/detached.ts';
import { plainSettings } from './connection-settings.ts';
import { ended } from './ending.ts';

const againMs = 500;

type Listening = {
  readonly url: string;
  readonly applicationName: string;
  readonly channel: string;
  readonly onNotify: (payload: string) => void;
  readonly onReconnect: () => void;
};

/** Listens until the returned function is called. */
export async function listenTo({
  url,
  applicationName,
  channel,
  onNotify,
  onReconnect,
}: Listening): Promise<() => Promise<void>> {
  let stopped = false;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  const connect = async (): Promise<void> => {
    if (stopped) return;
    const next = new pg.Client({
      connectionString: url,
      application_name: applicationName,
      keepAlive: true,
      options: plainSettings,
    });
    const retry = (): void => {
      if (client !== next) return;
      client = undefined;
      detach(next.end(), givenUp);
      if (!stopped) timer = setTimeout(() => detach(connect(), unexpected), againMs);
    };
    client = next;
    next.on('error', retry);
    next.on('end', retry);
    next.on('notification', (note) => onNotify(note.payload ?? ''));
    try {
      await next.connect();
      await next.query(`listen ${next.escapeIdentifier(channel)}`);
      onReconnect();
    } catch {
      retry();
    }
  };
  await connect();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    const last = client;
    client = undefined;
    await ended(last);
  };
}
