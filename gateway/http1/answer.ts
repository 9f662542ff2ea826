import type net from 'node:net';
import type { Policy } from '#contracts/policy.ts';
import { takesAtOnce, writeText } from '../client-socket.ts';
import type { CoderOwner } from '../compression/coder.ts';
import { Coder } from '../compression/coder.ts';
import { negotiate } from '../compression/negotiate.ts';
import { originFields } from '../cors.ts';
import { dressed } from '../dressing.ts';
import type { RequestMeter } from '../observe/request-meter.ts';
import type { Page } from '../pages/pages.ts';
import { renderPage } from '../pages/render.ts';
import type { ContentSink } from '../upstream/exchange.ts';
import { kept, withHead } from '../upstream/memory.ts';
import { acceptFor, closeCodeOf, closeFrame } from '../websocket.ts';
import { chunk, lastChunk } from './chunks.ts';
import type { Http1Context, Peer } from './context.ts';
import { valueOf } from './fields.ts';
import { returnedHead } from './forward.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

const joinedBytesMax = 16_384; // a head and so much body leave in one write

/** Who hears how an answer goes. */
export interface AnswerOwner extends CoderOwner {
  answered(keepAlive: boolean): void;
}

export interface AnswerTerms {
  readonly request: RequestHead;
  readonly body: 'framed' | 'content';
  /** Nothing but the answer's framing stands against another request on this connection. */
  readonly mayGoOn: boolean;
  readonly policy: Policy | undefined;
}

export interface PageTerms {
  /** Undefined when it could not be read. */
  readonly request: RequestHead | undefined;
  readonly policy: Policy | undefined;
  readonly keepAlive: boolean;
}

/**
 * Writes the answers of a client's connection: a body as the pod framed it passes untouched, content
 * is framed here, compressed where that was agreed. One object per connection.
 */
export class Http1Answer implements ContentSink {
  readonly #socket: net.Socket;
  readonly #context: Http1Context;
  readonly #owner: AnswerOwner;
  readonly #meter: RequestMeter;
  readonly #hsts: string;
  /** Held back to leave with the first bytes of the body. */
  #head = '';
  #chunked = false;
  #keepAlive = false;
  #coder: Coder | undefined;

  constructor(
    socket: net.Socket,
    { context, peer, meter }: { context: Http1Context; peer: Peer; meter: RequestMeter },
    owner: AnswerOwner,
  ) {
    this.#hsts = peer.sni === undefined ? '' : context.hsts;
    this.#socket = socket;
    this.#meter = meter;
    this.#context = context;
    this.#owner = owner;
  }

  get blocked(): boolean {
    return this.#socket.writableNeedDrain || this.#coder?.blocked === true;
  }

  /** Returns where content goes, or undefined when the body passes as the pod framed it. */
  begin(asGiven: ResponseHead, terms: AnswerTerms): ContentSink | undefined {
    const { request, policy, mayGoOn, body } = terms;
    this.#meter.answered(asGiven.status);
    const { coders, limits } = this.#context;
    const head = dressed(asGiven, policy?.cors, request.origin, this.#hsts);
    const compression = policy?.compression;
    if (!compression) return this.#beginPlain(head, request, { body, mayGoOn });
    const mayCode = coders.running < limits.codersMax;
    const { head: sent, coding } = negotiate(head, request, { compression, mayCode });
    if (!coding) return this.#beginPlain(sent, request, { body, mayGoOn });
    const to = this.#beginContent(sent, request, mayGoOn);
    this.#coder = new Coder(coding, to, { owner: this.#owner, coders });
    return this.#coder;
  }

  /** Nobody reads the rest. */
  abandon(): void {
    this.#coder?.abandon();
    this.#coder = undefined;
    this.#meter.left();
  }

  #beginPlain(
    head: ResponseHead,
    request: RequestHead,
    { body, mayGoOn }: Pick<AnswerTerms, 'body' | 'mayGoOn'>,
  ): ContentSink | undefined {
    if (body === 'content') return this.#beginContent(head, request, mayGoOn);
    this.#keepAlive = mayGoOn && head.framing !== 'close';
    this.#head = returnedHead(head, request, { keepAlive: this.#keepAlive, framing: '' });
    return undefined;
  }

  /** Content without framing: chunked, unless its length is known or the client knows no chunks. */
  #beginContent(head: ResponseHead, request: RequestHead, mayGoOn: boolean): ContentSink {
    this.#chunked = head.framing !== 'length' && head.framing !== 'none' && request.minor === 1;
    this.#keepAlive = mayGoOn && (this.#chunked || head.framing !== 'close');
    const framing = this.#chunked ? 'Transfer-Encoding: chunked\r\n' : '';
    this.#head = returnedHead(head, request, { keepAlive: this.#keepAlive, framing });
    return this;
  }

  informational({ text }: ResponseHead): void {
    this.#write(`${text}\r\n`);
  }

  /** The pod agreed to another protocol. */
  switched(head: ResponseHead, request: RequestHead): void {
    const text = returnedHead(head, request, { keepAlive: true, framing: '' });
    this.#write(text);
  }

  /**
   * An answer of ours. Browsers tell scripts nothing of a WebSocket's failed handshake, so theirs (they
   * say from which origin) succeeds and is closed with the reason.
   */
  page(page: Page, terms: PageTerms): void {
    this.#meter.paged(page);
    this.#writePage(page, terms);
    this.#meter.end();
  }

  #writePage(page: Page, { request, policy, keepAlive }: PageTerms): void {
    if (request?.websocket && request.origin !== '') {
      this.#write(handshake(request));
      this.#write(closeFrame(closeCodeOf(page), page.message));
      return;
    }
    const { cors } = policy ?? {};
    const granted = cors && request ? originFields(cors, request.origin) : '';
    const fields = `${this.#hsts}${granted}${page.fields ?? ''}`;
    const dressedPage = fields === '' ? page : { ...page, fields };
    this.#write(renderPage(dressedPage, request, keepAlive));
  }

  framed(bytes: Buffer | string): void {
    const head = this.#head;
    this.#head = '';
    if (typeof bytes === 'string') {
      this.#write(head + bytes);
      return;
    }
    if (head !== '' && bytes.length <= joinedBytesMax) {
      this.#write(head + bytes.toString('latin1'));
      return;
    }
    const together = takesAtOnce(this.#socket) ? withHead(head, bytes) : undefined;
    if (!together && head !== '') this.#write(head);
    if (bytes.length > 0) this.#write(together ?? bytes);
  }

  framedEnd(): void {
    this.#meter.end();
    this.#owner.answered(this.#keepAlive);
  }

  content(content: Buffer | string): void {
    const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
    this.framed(this.#chunked ? chunk(bytes) : bytes);
  }

  flush(): void {
    if (this.#head !== '') this.framed(nothing);
  }

  end(trailers: string): void {
    if (this.#chunked) this.framed(Buffer.from(lastChunk(trailers), 'latin1'));
    else this.flush();
    this.#coder = undefined;
    this.#meter.end();
    this.#owner.answered(this.#keepAlive);
  }

  #write(bytes: Buffer | string): void {
    this.#meter.sent(bytes.length);
    if (typeof bytes === 'string') writeText(this.#socket, bytes);
    else this.#socket.write(takesAtOnce(this.#socket) ? bytes : kept(bytes));
  }
}

const nothing = Buffer.alloc(0);

function handshake({ fields }: RequestHead): string {
  const key = valueOf('sec-websocket-key', fields);
  return (
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    `Sec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`
  );
}
