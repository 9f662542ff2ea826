import { BodyMeter } from '../../../gateway/http1/body.ts';
import { malformed, needsMore } from '../../../gateway/http1/chunked.ts';
import { Refusal } from '../../../gateway/http1/fields.ts';
import { HeadBuffer } from '../../../gateway/http1/head-buffer.ts';
import { parseRequestHead } from '../../../gateway/http1/request-head.ts';
import { parseResponseHead } from '../../../gateway/http1/response-head.ts';
import { limits } from '../../../gateway/limits.ts';

/** A message as far as it was read. */
export interface Message {
  /** Method of a request, status of a response. */
  readonly start: string;
  body: string;
  whole: boolean;
}

export interface Reading {
  readonly messages: readonly Message[];
  /** The rest was refused: none of it is given a meaning. */
  readonly refused: boolean;
}

/** The requests of a connection as the gateway reads them, until it would end the connection. */
export function readRequests(bytes: Buffer): Reading {
  const messages: Message[] = [];
  const received = new HeadBuffer(limits);
  received.push(bytes);
  for (;;) {
    received.skipEmptyLines();
    const text = received.head();
    if (text === undefined) return { messages, refused: false };
    const head =
      text === null ? undefined : parseRequestHead(text, limits, { end: received.headEnd });
    if (!head || head instanceof Refusal) return { messages, refused: true };
    const message: Message = { start: head.method, body: '', whole: false };
    messages.push(message);
    const meter = new BodyMeter(limits);
    meter.begin(head.framing, head.length, sinkOf(message));
    const rest = received.rest();
    const end = meter.take(rest, 0);
    if (end === malformed) return { messages, refused: true };
    message.whole = meter.done;
    if (end === needsMore || !head.keepAlive) return { messages, refused: false };
    received.push(rest.subarray(end));
  }
}

/** The final response on a connection that then ends, as the gateway reads it. */
export function readResponse(bytes: Buffer, method: string): Reading {
  const received = new HeadBuffer(limits);
  received.push(bytes);
  for (let interim = 0; ; interim += 1) {
    const text = received.head();
    const head = text ? parseResponseHead(text.slice(0, received.headEnd), method) : undefined;
    if (!head || head.status === 101 || interim > limits.informationalMax) {
      return { messages: [], refused: true };
    }
    if (head.status < 200) continue;
    const message: Message = { start: String(head.status), body: '', whole: false };
    const meter = new BodyMeter(limits);
    meter.begin(head.framing, head.length, sinkOf(message));
    const end = meter.take(received.rest(), 0);
    message.whole = end !== malformed && meter.endOfConnection();
    // A cut: nobody takes the answer for whole.
    return { messages: [message], refused: !message.whole };
  }
}

const sinkOf = (message: Message) => ({
  content: (bytes: Buffer): void => {
    message.body += bytes.toString('latin1');
  },
});
