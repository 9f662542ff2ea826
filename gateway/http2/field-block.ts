import { FieldLines } from '../http1/field-lines.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { connectionSpecific } from './fields.ts';
import { encodeField, noTable } from './hpack/encoder.ts';

// Heads are encoded in one go, so one serves all of a worker's connections.
const lines = new FieldLines();

/** Field lines of HTTP/1.1, each with CRLF, from `from` on as a block of HTTP/2; without what is HTTP/1.1's alone. */
export function blockOf(text: string, from = 0, left?: string): string {
  let block = '';
  lines.begin(text, from);
  while (lines.next()) {
    const name = lines.anyName;
    if (!connectionSpecific.has(name) && name !== left) block += encodeField(name, lines.value);
  }
  return block;
}

/** Encodes the heads of one connection's answers. What is polled or cached is mostly said again: the last is kept. */
export class HeadBlocks {
  readonly #rememberedBytesMax: number;
  #text = '';
  #block = '';
  #begun = false;

  constructor(limits: { readonly rememberedHeadBytesMax: number }) {
    this.#rememberedBytesMax = limits.rememberedHeadBytesMax;
  }

  answer(head: ResponseHead): string {
    const { text } = head;
    let block = this.#block;
    if (text !== this.#text) {
      block = answerBlock(head, head.status);
      const remembered = text.length <= this.#rememberedBytesMax;
      this.#text = remembered ? text : '';
      this.#block = remembered ? block : '';
    }
    return this.first(block);
  }

  /** RFC 8441, 5: what 101 says in HTTP/1.1 is 200 here, and the proof of the handshake is not needed. */
  webSocket(head: ResponseHead): string {
    return this.first(answerBlock(head, 200, 'sec-websocket-accept'));
  }

  /** Every block passes here: the connection's first says that no table is used. */
  first(block: string): string {
    if (this.#begun) return block;
    this.#begun = true;
    return noTable + block;
  }
}

function answerBlock({ text }: ResponseHead, status: number, left?: string): string {
  return encodeField(':status', String(status)) + blockOf(text, text.indexOf('\r\n') + 2, left);
}
