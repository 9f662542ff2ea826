import type { Http1Context, Peer } from '../http1/context.ts';
import { Introductions } from '../http1/forwarding.ts';
import { HeadBlocks } from './field-block.ts';
import type { FloodGuards } from './flood-guard.ts';
import { floodGuards } from './flood-guard.ts';
import {
  lengthIs,
  ofConnection,
  ofStream,
  refuseSelfDependence,
  uint31,
  windowSetting,
} from './frame-checks.ts';
import type { FrameHead, FrameSink } from './frame-reader.ts';
import type { FrameWriter } from './frame-writer.ts';
import { HeaderBlocks } from './header-blocks.ts';
import {
  ConnectionFault,
  errors,
  flags,
  frames,
  initialWindowBytes,
  settings,
} from './protocol.ts';
import { ReceiveWindow, SharedReceiveWindow } from './receive-window.ts';
import { SendWindow } from './send-window.ts';
import type { StreamTerms } from './stream.ts';
import type { StreamsOwner } from './streams.ts';
import { Http2Streams } from './streams.ts';

interface SessionTerms extends Pick<StreamTerms, 'lend'> {
  readonly context: Http1Context;
  readonly peer: Peer;
}

/**
 * The frames of one connection (RFC 9113, 6). What no client may do is thrown as a `ConnectionFault`;
 * what harms one stream alone resets it. Priorities are ignored, as 5.3.2 has it.
 */
export class Http2Session implements FrameSink {
  readonly streams: Http2Streams;
  readonly #context: Http1Context;
  readonly #writer: FrameWriter;
  readonly #sendWindow: SendWindow;
  readonly #received: SharedReceiveWindow;
  readonly #blocks: HeaderBlocks;
  readonly #guards: FloodGuards;
  /** The client's first SETTINGS were there. */
  #settled = false;
  /** Of the DATA frame under way, without its padding. */
  #content = 0;
  /** At most as many as we have sent frames of DATA; those beyond them may be a flood. */
  #pings = 0;

  constructor({ context, peer, lend }: SessionTerms, writer: FrameWriter, owner: StreamsOwner) {
    const { limits } = context;
    this.#context = context;
    this.#writer = writer;
    this.#sendWindow = new SendWindow(writer);
    const window = new ReceiveWindow(writer, limits.h2SessionWindowBytes);
    this.#received = new SharedReceiveWindow(window, limits.h2HeldBytesMax);
    this.#blocks = new HeaderBlocks(limits, context.random);
    this.#guards = floodGuards(context);
    const terms = {
      context,
      peer,
      introductions: new Introductions(peer, context.forwardedHeader),
      heads: new HeadBlocks(limits),
      sendWindow: this.#sendWindow,
      received: this.#received,
      lend,
    };
    this.streams = new Http2Streams(terms, this.#guards.resets, owner);
  }

  /** A header block has begun and is not whole. */
  get inBlock(): boolean {
    return this.#blocks.open;
  }

  /** What we say first (RFC 9113, 3.4). */
  begin(): void {
    const { limits } = this.#context;
    this.#writer.settings([
      [settings.maxConcurrentStreams, limits.h2StreamsMax],
      [settings.initialWindowSize, limits.h2StreamWindowBytes],
      [settings.maxHeaderListSize, limits.headBytesMax],
      [settings.enableConnectProtocol, 1],
    ]);
    this.#writer.windowUpdate(0, limits.h2SessionWindowBytes - initialWindowBytes);
  }

  /** The client takes bytes again. */
  drained(): void {
    this.#sendWindow.pump();
  }

  frame(head: FrameHead, bytes: Buffer, from: number): void {
    this.#expect(head);
    switch (head.type) {
      case frames.headers:
        ofStream(head);
        if (this.#blocks.begin(head, bytes, from)) this.#block();
        return;
      case frames.continuation:
        if (this.#blocks.goOn(head, bytes, from)) this.#block();
        return;
      case frames.priority:
        ofStream(head);
        lengthIs(head.length === 5);
        refuseSelfDependence(head, bytes, from);
        this.#guards.idle.spend();
        return;
      case frames.rstStream:
        this.#known(head);
        this.streams.reset(head.stream);
        return;
      case frames.settings:
        this.#settings(head, bytes, from);
        return;
      case frames.ping:
        this.#ping(head, bytes, from);
        return;
      case frames.goaway:
        ofConnection(head);
        lengthIs(head.length >= 8);
        this.#guards.idle.spend();
        return;
      case frames.windowUpdate:
        this.#windowUpdate(head, bytes, from);
        return;
      case frames.pushPromise:
        throw new ConnectionFault(errors.protocol, 'clients do not push');
      default:
        this.#guards.idle.spend();
    }
  }

  dataBegins(head: FrameHead): void {
    this.#expect(head);
    ofStream(head);
    this.#content = 0;
    const empty = head.length === 0 && (head.flags & flags.endStream) === 0;
    if (empty) this.#guards.idle.spend();
    if (!this.#received.received(head.length)) {
      throw new ConnectionFault(errors.flowControl, 'more than the window of the connection');
    }
    const stream = this.streams.table.get(head.stream);
    if (stream) this.streams.judge(stream, stream.takes(head.length));
    else this.streams.over(head.stream);
  }

  data({ stream: id }: FrameHead, bytes: Buffer): void {
    this.#content += bytes.length;
    const stream = this.streams.table.get(id);
    if (stream) this.streams.judge(stream, stream.content(bytes));
    this.#received.used(bytes.length);
  }

  dataEnds(head: FrameHead): void {
    const stream = this.streams.table.get(head.stream);
    const padding = head.length - this.#content;
    if (padding > 0) {
      stream?.padding(padding);
      this.#received.used(padding);
    }
    if ((head.flags & flags.endStream) === 0) return;
    if (stream) this.streams.judge(stream, stream.contentEnds(''));
    else this.streams.table.settled(head.stream);
  }

  /** What may come at all now: SETTINGS first (3.4), and nothing within a header block (6.10). */
  #expect({ type, stream, flags: set }: FrameHead): void {
    if (!this.#settled && (type !== frames.settings || (set & flags.ack) !== 0)) {
      throw new ConnectionFault(errors.protocol, 'SETTINGS come first');
    }
    const continued = type === frames.continuation && stream === this.#blocks.stream;
    if (this.#blocks.open ? !continued : type === frames.continuation) {
      throw new ConnectionFault(errors.protocol, 'a header block in pieces');
    }
  }

  /** A frame of four bytes, of a stream that exists or did. */
  #known(head: FrameHead): void {
    ofStream(head);
    lengthIs(head.length === 4);
    if (this.streams.table.isIdle(head.stream)) {
      throw new ConnectionFault(errors.protocol, 'a frame of a stream that nobody opened');
    }
  }

  /** A header block is whole. It is read whatever becomes of it: the table goes on. */
  #block(): void {
    const { stream: id, ended } = this.#blocks;
    const { table } = this.streams;
    const stream = table.get(id);
    if (stream) {
      const trailers = this.#blocks.trailers();
      this.streams.judge(stream, stream.contentEnds(ended ? trailers : undefined));
    } else if (table.isIdle(id)) {
      if ((id & 1) === 0) {
        throw new ConnectionFault(errors.protocol, 'even numbers are not for clients');
      }
      table.last = id;
      this.streams.open(id, this.#blocks.request(), ended);
    } else {
      this.#blocks.trailers();
      this.streams.over(id);
      if (ended) table.settled(id);
    }
  }

  #settings(head: FrameHead, bytes: Buffer, from: number): void {
    const ack = (head.flags & flags.ack) !== 0;
    ofConnection(head);
    lengthIs(ack ? head.length === 0 : head.length % 6 === 0);
    this.#guards.control.spend();
    if (ack) return;
    this.#settled = true;
    const window = windowSetting(bytes, from, from + head.length);
    if (window !== undefined) this.streams.setWindow(window);
    this.#writer.settingsAck();
  }

  #ping(head: FrameHead, bytes: Buffer, from: number): void {
    ofConnection(head);
    lengthIs(head.length === 8);
    // Who measures how fast our content comes asks often, but not more often than it comes.
    if (this.#pings < this.#writer.dataFrames) this.#pings += 1;
    else this.#guards.control.spend();
    if ((head.flags & flags.ack) !== 0) return;
    this.#writer.pong(bytes.toString('latin1', from, from + head.length));
  }

  #windowUpdate(head: FrameHead, bytes: Buffer, from: number): void {
    if (head.stream === 0) lengthIs(head.length === 4);
    else this.#known(head);
    const increment = uint31(bytes, from);
    if (head.stream === 0) {
      if (increment === 0) throw new ConnectionFault(errors.protocol, 'a window opened by nothing');
      this.#sendWindow.opened(increment);
      return;
    }
    const stream = this.streams.table.get(head.stream);
    if (!stream) return;
    if (increment === 0) this.streams.judge(stream, errors.protocol);
    else if (!stream.windowOpened(increment)) this.streams.judge(stream, errors.flowControl);
  }
}
