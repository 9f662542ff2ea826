import net from 'node:net';
import { getSystemErrorName } from 'node:util';

/**
 * A write that is not over yet. Node calls `oncomplete` with its status, 0 or below; where there is no
 * such function the status is left to be looked at.
 */
interface Unfinished {
  readonly writeStatus: number | null;
  oncomplete?: (status: number) => void;
}

/**
 * What a socket writes with: gives 0 for what is over, below it an error, else what is unfinished. Of a write
 * that TLS refuses, as after its end, it tells only its own stream, so none is tried there.
 */
interface Handle {
  writeLatin1String(request: null, text: string): number | Unfinished;
}

/**
 * Writes texts of one socket past its stream, whose queue and events cost a small message as much as
 * its encryption, and serve nothing where nothing waits. Only while the stream itself writes nothing.
 */
export class QuickWriter {
  readonly #socket: net.Socket;
  readonly #handle: Handle | undefined;
  #unfinished: Unfinished | undefined;

  /** `socket` has a connection. */
  constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#handle = handleOf(socket);
  }

  /** All that was written here is with the kernel. */
  get done(): boolean {
    if (!this.#unfinished) return true;
    const status = this.#unfinished.writeStatus;
    return typeof status === 'number' && status >= 0;
  }

  /** Writes a text of latin1, by the stream where that is under way or this Node has no other way. */
  write(text: string): void {
    const socket = this.#socket;
    if (!this.#handle || !this.done || socket.writableLength > 0 || !socket.writable) {
      socket.write(text, 'latin1');
      return;
    }
    const result = this.#handle.writeLatin1String(null, text);
    if (typeof result !== 'number') this.#unfinished = result;
    else if (result < 0) this.#failed(result);
  }

  /** Calls back when all that was written here is with the kernel; not at all where that fails. */
  whenDone(act: () => void): void {
    const unfinished = this.#unfinished;
    if (!unfinished || this.done) {
      act();
      return;
    }
    if (typeof unfinished.writeStatus === 'number') {
      this.#failed(unfinished.writeStatus);
      return;
    }
    unfinished.oncomplete = (status) => {
      this.#unfinished = undefined;
      if (status < 0) this.#failed(status);
      else act();
    };
  }

  #failed(status: number): void {
    this.#socket.destroy(new Error(`write ${getSystemErrorName(status)}`));
  }
}

function handleOf(socket: net.Socket): Handle | undefined {
  const handle: unknown = known ? Reflect.get(socket, '_handle') : undefined;
  return isHandle(handle) ? handle : undefined;
}

const isHandle = (handle: unknown): handle is Handle =>
  typeof handle === 'object' && handle !== null && 'writeLatin1String' in handle;

/** Whether this Node asks handles as we do, which is its own business: it is made to ask one of ours. */
function asksAsWeDo(): boolean {
  const asked: unknown[] = [];
  const handle = {
    writeLatin1String: (...given: unknown[]): number => {
      asked.push(given);
      return 0;
    },
    close: (closed: () => void) => closed(),
  };
  try {
    // `handle` is not among what Node documents, nor is the right to write without a connection.
    const socket: net.Socket = Reflect.construct(net.Socket, [
      { handle, readable: false, manualStart: true },
    ]);
    socket.on('error', () => undefined);
    socket.write('text', 'latin1');
    const over = socket.writableLength === 0;
    socket.destroy();
    return over && JSON.stringify(asked) === '[[null,"text"]]';
  } catch {
    return false;
  }
}

const known = asksAsWeDo();
