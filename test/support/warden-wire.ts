// Owns: a place between one edge and its warden that understands frames: an answer is refused, lost after the warden
// acted, late, or the call is never forwarded. It keeps what the warden answered, so that a test knows what was really
// done, and which keys left.
import { chmodSync, existsSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { encodeFrame, FrameReader } from '../../server/rpc/framing.ts';
import type { Teardown } from './database.ts';

/**
 * `refused`: the call never reaches the warden, and a refusal comes back. `away`: the same, as when the warden's
 * database is away. `cut`: the connection ends before the call is forwarded. `lost`: it ends after the warden has
 * answered. `late`: the answer comes, after others.
 */
export const wireFaults = ['refused', 'away', 'cut', 'lost', 'late'] as const;
export type WireFault = (typeof wireFaults)[number];
type Message = {
  readonly id: number;
  readonly op?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
};
/** A call that the warden has answered, and whether its edge ever received the answer. */
export type Answered = {
  readonly op: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly isOk: boolean;
  isHeard: boolean;
};

const lateMs = 700;
/** What was asked before a cut is answered within this time, or nobody will know. */
const drainMs = 5000;
const errors = {
  refused: { code: 'over-limit', message: 'refused on the way' },
  away: { code: 'unavailable', message: 'away for a moment' },
} as const;

export class WardenWire {
  readonly #path: string;
  readonly #server: Server;
  readonly #armed: Armed = { calls: new Map(), next: [] };
  readonly #sockets = new Set<Socket>();
  readonly #carried = new Set<Carried>();
  #draining: Promise<void> = Promise.resolve();
  #answered: Answered[] = [];
  /** How often each fault took place. */
  readonly happened: Partial<Record<WireFault, number>> = {};

  private constructor(path: string, server: Server) {
    this.#path = path;
    this.#server = server;
  }

  /** Takes the place of a warden's socket. Existing connections stay: an edge comes this way when it connects next. */
  static async between(t: Teardown, path: string): Promise<WardenWire> {
    const server = createServer((edge) => wire.#accept(edge));
    const wire = new WardenWire(path, server);
    renameSync(path, wire.#behind);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    chmodSync(path, 0o660);
    t.teardown(() => wire.#stop());
    return wire;
  }

  get #behind(): string {
    return `${this.#path}.warden`;
  }

  #stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    rmSync(this.#behind, { force: true });
  }

  get isConnected(): boolean {
    return this.#sockets.size > 0 && existsSync(this.#behind);
  }

  /** The next call of this operation meets this fault. */
  arm(op: string, fault: WireFault): void {
    this.#armed.calls.set(op, fault);
  }

  /** The call of a session that comes after this many others meets this fault, whatever it is. */
  armNext(after: number, fault: WireFault): void {
    this.#armed.next.push({ left: after, fault });
  }

  disarm(): void {
    this.#armed.calls.clear();
    this.#armed.next.length = 0;
  }

  /** What was answered since the last question. */
  takeAnswers(): readonly Answered[] {
    const answered = this.#answered;
    this.#answered = [];
    return answered;
  }

  /** Resolves when nothing that was asked before a cut is unanswered. */
  settled(): Promise<void> {
    return this.#draining;
  }

  /**
   * Nothing that sessions asked is under way: also not what an edge has given up waiting for, or what it has not been
   * told yet.
   */
  get isQuiet(): boolean {
    return [...this.#carried].every((one) => one.isQuiet);
  }

  #accept(edge: Socket): void {
    this.#sockets.add(edge);
    edge.on('error', () => {});
    edge.once('close', () => this.#sockets.delete(edge));
    // A second connection would end the first one at the warden, with what it still has to say.
    edge.pause();
    void this.#draining.then(() => {
      if (edge.destroyed) return;
      const warden = connect(this.#behind);
      const carried = new Carried(this.#armed, edge, warden, (one) => this.#note(one), this);
      this.#carried.add(carried);
      warden.once('close', () => this.#carried.delete(carried));
    });
  }

  #note(one: Answered): void {
    this.#answered.push(one);
  }

  /** A cut has begun: nobody connects anew before `over`. */
  drains(over: Promise<void>): void {
    this.#draining = over;
  }

  count(fault: WireFault): void {
    this.happened[fault] = (this.happened[fault] ?? 0) + 1;
  }
}

type Armed = { readonly calls: Map<string, WireFault>; readonly next: { left: number; readonly fault: WireFault }[] };
/** What an edge asks for itself, or before there is a session. */
const notOfASession = /^(?:node|lease|exchange|login|self-test)\./;

/** The fault that this call meets, which is used up. */
function take(armed: Armed, op: string): WireFault | undefined {
  const own = armed.calls.get(op);
  if (own !== undefined) armed.calls.delete(op);
  if (own !== undefined || notOfASession.test(op)) return own;
  for (const one of armed.next) one.left -= 1;
  const at = armed.next.findIndex((one) => one.left < 0);
  return at < 0 ? undefined : armed.next.splice(at, 1)[0]?.fault;
}

type Call = {
  readonly op: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly fault: WireFault | undefined;
};

/** One connection, in both directions. */
class Carried {
  readonly #armed: Armed;
  readonly #edge: Socket;
  readonly #warden: Socket;
  readonly #note: (one: Answered) => void;
  readonly #wire: WardenWire;
  readonly #waiting = new Map<number, Call>();
  #lateAnswers = 0;
  #isCut = false;
  #onDrained: () => void = () => {};

  constructor(armed: Armed, edge: Socket, warden: Socket, note: (one: Answered) => void, wire: WardenWire) {
    this.#armed = armed;
    this.#edge = edge;
    this.#warden = warden;
    this.#note = note;
    this.#wire = wire;
    const [fromEdge, fromWarden] = [new FrameReader(), new FrameReader()];
    edge.on('data', (chunk: Buffer) => {
      for (const message of fromEdge.push(chunk)) this.#toWarden(message as Message);
    });
    edge.once('close', () => this.#cut());
    warden.on('error', () => {});
    warden.on('data', (chunk: Buffer) => {
      for (const message of fromWarden.push(chunk)) this.#toEdge(message as Message);
    });
    warden.once('close', () => {
      edge.destroy();
      this.#waiting.clear();
      this.#onDrained();
    });
    edge.resume();
  }

  get isQuiet(): boolean {
    return this.#lateAnswers === 0 && [...this.#waiting.values()].every(({ op }) => notOfASession.test(op));
  }

  #toWarden(message: Message): void {
    if (this.#isCut) return;
    if (message.op === undefined) {
      this.#warden.write(encodeFrame(message));
      return;
    }
    const fault = take(this.#armed, message.op);
    if (fault !== undefined) this.#wire.count(fault);
    if (fault === 'refused' || fault === 'away') {
      this.#edge.write(encodeFrame({ id: message.id, error: errors[fault] }));
      return;
    }
    if (fault === 'cut') return this.#cut();
    this.#waiting.set(message.id, { op: message.op, params: message.params ?? {}, fault });
    this.#warden.write(encodeFrame(message));
  }

  #toEdge(message: Message): void {
    const call = message.op === undefined ? this.#waiting.get(message.id) : undefined;
    if (call !== undefined) {
      this.#waiting.delete(message.id);
      if (call.fault === 'lost') this.#cut();
    }
    const answered = call && { op: call.op, params: call.params, isOk: 'result' in message, isHeard: false };
    if (answered !== undefined) this.#note(answered);
    if (this.#isCut) {
      if (this.#waiting.size === 0) this.#warden.destroy();
      return;
    }
    const deliver = (): void => {
      if (this.#isCut) return;
      this.#edge.write(encodeFrame(message));
      if (answered !== undefined) answered.isHeard = true;
    };
    if (call?.fault !== 'late') return deliver();
    this.#lateAnswers += 1;
    setTimeout(() => {
      this.#lateAnswers -= 1;
      deliver();
    }, lateMs);
  }

  /** The edge is cut off at once; the warden continues to the end of what it was asked. */
  #cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#edge.destroy();
    if (this.#waiting.size === 0) {
      this.#warden.destroy();
      return;
    }
    const timer = setTimeout(() => this.#warden.destroy(), drainMs);
    this.#wire.drains(
      new Promise<void>((resolve) => {
        this.#onDrained = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
    );
  }
}
