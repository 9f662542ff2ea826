import type net from 'node:net';
import type { ContentSink } from '../upstream/exchange.ts';
import { chunk, lastChunk } from './chunks.ts';
import { returnedHead } from './forward.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

const joinedBytesMax = 16_384; // a head and so much body leave in one write

/** Who hears that an answer is out. */
export interface AnswerOwner {
  answered(keepAlive: boolean): void;
}

/**
 * Writes the answers of a client's connection: a body as the pod framed it passes untouched, content
 * is framed here. One object per connection.
 */
export class Http1Answer implements ContentSink {
  readonly #socket: net.Socket;
  readonly #owner: AnswerOwner;
  /** Held back to leave with the first bytes of the body. */
  #head = '';
  #chunked = false;
  #keepAlive = false;

  constructor(socket: net.Socket, owner: AnswerOwner) {
    this.#socket = socket;
    this.#owner = owner;
  }

  /** A body that passes as the pod framed it; `keepAlive`: the connection may go on after it. */
  beginFramed(head: ResponseHead, request: RequestHead, mayGoOn: boolean): void {
    this.#keepAlive = mayGoOn && head.framing !== 'close';
    this.#head = returnedHead(head, request, { keepAlive: this.#keepAlive, framing: '' });
  }

  /** Content without framing: chunked, unless its length is known or the client knows no chunks. */
  beginContent(head: ResponseHead, request: RequestHead, mayGoOn: boolean): ContentSink {
    this.#chunked = head.framing !== 'length' && head.framing !== 'none' && request.minor === 1;
    this.#keepAlive = mayGoOn && (this.#chunked || head.framing !== 'close');
    const framing = this.#chunked ? 'Transfer-Encoding: chunked\r\n' : '';
    this.#head = returnedHead(head, request, { keepAlive: this.#keepAlive, framing });
    return this;
  }

  framed(bytes: Buffer): void {
    const head = this.#head;
    this.#head = '';
    if (head !== '' && bytes.length <= joinedBytesMax) {
      this.#socket.write(head + bytes.toString('latin1'), 'latin1');
      return;
    }
    if (head !== '') this.#socket.write(head, 'latin1');
    if (bytes.length > 0) this.#socket.write(bytes);
  }

  framedEnd(): void {
    this.#owner.answered(this.#keepAlive);
  }

  content(bytes: Buffer): void {
    this.framed(this.#chunked ? chunk(bytes) : bytes);
  }

  flush(): void {
    if (this.#head !== '') this.framed(nothing);
  }

  end(trailers: string): void {
    if (this.#chunked) this.framed(Buffer.from(lastChunk(trailers), 'latin1'));
    else this.flush();
    this.#owner.answered(this.#keepAlive);
  }
}

const nothing = Buffer.alloc(0);
