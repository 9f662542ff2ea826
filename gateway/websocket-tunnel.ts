import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Deadlines, Mortal } from './deadlines.ts';
import type { Limits } from './limits.ts';
import { closeFrame, FrameTracker } from './websocket.ts';

export interface TunnelContext {
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  /** All that are open, for the day the worker drains. */
  readonly webSockets: Set<WebSocketTunnel>;
}

const keepAliveProbeMs = 60_000;
const goingAway = closeFrame(1001, 'the gateway restarts, connect again');
const podWent = closeFrame(1012, 'the pod ended the connection');

/**
 * Joins a client's side and a pod's socket (both half-open at will). Bytes pass untouched with
 * backpressure; an end is an end. Where the pod's side ends without the word of its protocol, or the
 * worker drains, the client is told by a close frame, if the pod's last frame is whole.
 */
export class WebSocketTunnel implements Mortal {
  deadlineMs = Infinity;
  readonly #client: Duplex;
  readonly #pod: net.Socket;
  readonly #context: TunnelContext;
  readonly #cut: () => void;
  readonly #frames = new FrameTracker();
  #leaving = false;
  #podEnded = false;
  /** Our close frame is out: nothing of the pod's may follow it (RFC 6455, 5.5.1). */
  #saidGoodbye = false;

  /** `cut`: how the client is told of a failure that has no close frame. */
  constructor(
    { client, pod }: { readonly client: Duplex; readonly pod: net.Socket },
    context: TunnelContext,
    cut: () => void,
  ) {
    this.#client = client;
    this.#pod = pod;
    this.#context = context;
    this.#cut = cut;
  }

  /** `first`: bytes of the pod that are there already. */
  open(first: Buffer): void {
    const client = this.#client;
    const pod = this.#pod;
    pod.setKeepAlive(true, keepAliveProbeMs);
    if (client instanceof net.Socket) client.setKeepAlive(true, keepAliveProbeMs);
    client.pipe(pod);
    client.on('error', () => undefined);
    client.on('drain', () => pod.resume());
    client.on('close', () => this.#clientGone());
    pod.on('error', () => undefined);
    pod.on('data', (bytes: Buffer) => this.#fromPod(bytes));
    pod.on('end', () => this.#podEnds());
    pod.on('close', (failed) => this.#podGone(failed));
    this.#context.webSockets.add(this);
    if (first.length > 0) this.#fromPod(first);
    pod.resume();
  }

  /** Asks the client to connect anew, as soon as the frame under way is whole. */
  leave(): void {
    this.#leaving = true;
    if (this.#frames.between && !this.#podEnded) this.#sayGoodbye(goingAway);
  }

  expire(): void {
    this.#cut();
  }

  #fromPod(bytes: Buffer): void {
    if (this.#saidGoodbye) return;
    this.#frames.take(bytes);
    if (!this.#client.write(bytes)) this.#pod.pause();
    if (this.#leaving) this.leave();
  }

  #sayGoodbye(frame: Buffer): void {
    if (this.#saidGoodbye) return;
    this.#saidGoodbye = true;
    this.#client.write(frame);
    this.#pod.resume();
  }

  #podEnds(): void {
    this.#podEnded = true;
    if (this.#frames.between) {
      this.#sayGoodbye(podWent);
      this.#expectEnd();
    }
    this.#client.end();
  }

  #podGone(failed: boolean): void {
    if (this.#client.destroyed) return;
    if (!this.#podEnded && failed && !this.#frames.between) {
      this.#cut();
      return;
    }
    if (!this.#podEnded) this.#podEnds();
    // What the client still says has no reader, but its end is heard.
    this.#client.resume();
    this.#expectEnd();
  }

  #expectEnd(): void {
    const { deadlines, limits } = this.#context;
    this.deadlineMs = Math.min(this.deadlineMs, deadlines.nowMs + limits.closeHandshakeMs);
    deadlines.add(this);
  }

  #clientGone(): void {
    this.#context.webSockets.delete(this);
    this.#context.deadlines.delete(this);
    if (this.#client.readableEnded) this.#pod.destroySoon();
    else this.#pod.destroy();
  }
}
