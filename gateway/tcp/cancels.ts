import type net from 'node:net';
import type { Address } from '#contracts/route.ts';
import { clientOf } from '../address-limits.ts';
import type { CancelAnswer, CancelQuestion, FromWorker } from '../messages.ts';
import type { TcpContext } from './connect.ts';
import { connectPod } from './connect.ts';
import { cancelKey } from './postgres.ts';
import { PostgresSessions } from './sessions.ts';

/**
 * CancelRequests that name nothing but a key (older clients send them in the clear, so there is no
 * server name): the session may be at any worker. Those that come inside TLS name their pod, and are
 * spliced to it like everything else.
 */
export class Cancels {
  readonly sessions = new PostgresSessions();
  readonly #context: TcpContext;
  readonly #send: (message: FromWorker) => void;
  readonly #waiting = new Map<number, (owner: Address | undefined) => void>();
  #questions = 0;
  /** Of this second, by the client that asks. */
  readonly #asking = new Map<string, number>();
  #inSecond = 0;
  #second = 0;

  constructor(context: TcpContext, send: (message: FromWorker) => void) {
    this.#context = context;
    this.#send = send;
  }

  /**
   * Finds the pod that gave out the key, passes the request on and closes when the pod does, which
   * tells the client that it is done. To unknown keys there is no answer, as Postgres has it. A client
   * that does not wait is served all the same.
   */
  serve(client: net.Socket, request: Buffer, from: string): void {
    const { deadlines, limits } = this.#context;
    const question = (this.#questions += 1);
    const deadline = {
      deadlineMs: deadlines.nowMs + limits.cancelMs,
      expire: (): void => {
        deadlines.delete(deadline);
        this.#waiting.delete(question);
        client.destroy();
      },
    };
    deadlines.add(deadline);
    // One that does not end in its turn is ended.
    const over = (): void => {
      client.end();
      deadline.deadlineMs = deadlines.nowMs + limits.drainMs;
      deadlines.add(deadline);
    };
    client.resume();
    if (!this.#mayAsk(from)) {
      over();
      return;
    }
    this.#waiting.set(question, (owner) => {
      deadlines.delete(deadline);
      if (owner) forward(owner, request, this.#context, over);
      else over();
    });
    this.#send({ kind: 'cancel-wanted', question, key: cancelKey(request), from });
  }

  /** Somebody looks for the owner of a key. */
  asked({ question, key, from }: CancelQuestion): void {
    this.#send({ kind: 'cancel-owners', question, owners: this.sessions.owners(key, from) });
  }

  answered({ question, owner }: CancelAnswer): void {
    const waiting = this.#waiting.get(question);
    this.#waiting.delete(question);
    waiting?.(owner);
  }

  /** Each question goes to all workers: a flood of guesses must keep neither them busy nor others out. */
  #mayAsk(from: string): boolean {
    const { deadlines, limits } = this.#context;
    const second = Math.floor(deadlines.nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
      this.#asking.clear();
    }
    const client = clientOf(from);
    const asked = this.#asking.get(client) ?? 0;
    if (asked >= limits.cancelsPerSecondPerAddressMax) return false;
    if (this.#inSecond >= limits.cancelsPerSecondMax) return false;
    this.#inSecond += 1;
    this.#asking.set(client, asked + 1);
    return true;
  }
}

/** Sends the request to the pod and waits until it closes. */
function forward(owner: Address, request: Buffer, context: TcpContext, done: () => void): void {
  connectPod(owner, context, (pod) => {
    if (!pod) {
      done();
      return;
    }
    const { deadlines, limits } = context;
    const deadline = {
      deadlineMs: deadlines.nowMs + limits.cancelMs,
      expire: (): void => void pod.destroy(),
    };
    deadlines.add(deadline);
    pod.on('close', () => {
      deadlines.delete(deadline);
      done();
    });
    pod.on('end', () => pod.destroy());
    pod.resume();
    pod.write(request);
  });
}
