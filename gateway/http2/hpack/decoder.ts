import { ConnectionFault, errors } from '../protocol.ts';
import { DynamicTable, fieldSize } from './dynamic-table.ts';
import { decodedBytesMax, decodeHuffman } from './huffman.ts';
import { staticTable } from './static-table.ts';

const tableBytesMax = 4_096; // what a peer may use that was told nothing else (RFC 9113, 6.5.2)
const integerBytesMax = 4; // behind the prefix: 268 million, more than any length here
const indexed = 0x80;
const withIndexing = 0x40;
const sizeUpdate = 0x20;
const huffmanCoded = 0x80;

// Strings are decoded one at a time, so one memory serves all connections of a worker.
let decoded = Buffer.allocUnsafeSlow(4_096);

/**
 * Decodes the header blocks of one connection (RFC 7541). What is wrong with a block is a
 * `ConnectionFault`: both sides have to agree on the table, and would not any more.
 */
export class HpackDecoder {
  /** The last list is longer than it may be, and was not kept. */
  tooLarge = false;
  readonly #table = new DynamicTable(tableBytesMax);
  readonly #listBytesMax: number;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #to = 0;
  #listBytes = 0;

  /** `listBytesMax`: of names and values, with 32 for each field (RFC 9113, 6.5.2). */
  constructor(listBytesMax: number) {
    this.#listBytesMax = listBytesMax;
  }

  /** As long as it is the same, the same block means the same. */
  get tableChanges(): number {
    return this.#table.changes;
  }

  /** The fields of a block, which stands in `bytes` from `from` to `to`: names and values in turn. */
  decode(bytes: Buffer, from: number, to: number): string[] {
    const fields: string[] = [];
    this.#bytes = bytes;
    this.#at = from;
    this.#to = to;
    this.#listBytes = 0;
    this.tooLarge = false;
    this.#sizeUpdates();
    while (this.#at < to) this.#field(fields);
    this.#bytes = nothing;
    return fields;
  }

  /** They come before the first field or not at all (4.2). */
  #sizeUpdates(): void {
    while (this.#at < this.#to && ((this.#bytes[this.#at] ?? 0) & 0xe0) === sizeUpdate) {
      if (!this.#table.resize(this.#integer(0x1f))) throw malformed('the table is too large');
    }
  }

  #field(fields: string[]): void {
    const first = this.#bytes[this.#at] ?? 0;
    if ((first & indexed) !== 0) {
      const index = this.#integer(0x7f);
      this.#take(fields, this.#name(index), this.#value(index));
      return;
    }
    if ((first & 0xe0) === sizeUpdate) throw malformed('a size update among fields');
    const kept = (first & withIndexing) !== 0;
    const index = this.#integer(kept ? 0x3f : 0x0f);
    const name = index === 0 ? this.#string() : this.#name(index);
    const value = this.#string();
    if (kept) this.#table.add(name, value);
    this.#take(fields, name, value);
  }

  #take(fields: string[], name: string, value: string): void {
    this.#listBytes += fieldSize(name, value);
    if (this.#listBytes <= this.#listBytesMax) fields.push(name, value);
    else this.tooLarge = true;
  }

  #name(index: number): string {
    const known = staticTable[index - 1];
    if (known) return known[0];
    return this.#table.name(this.#dynamic(index));
  }

  #value(index: number): string {
    const known = staticTable[index - 1];
    if (known) return known[1];
    return this.#table.value(this.#dynamic(index));
  }

  #dynamic(index: number): number {
    const at = index - 1 - staticTable.length;
    if (index === 0 || at >= this.#table.count) throw malformed('an index of nothing');
    return at;
  }

  /** An integer (5.1) that begins in the bits of `mask`. */
  #integer(mask: number): number {
    let value = (this.#bytes[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let count = 0; count < integerBytesMax; count += 1) {
      if (this.#at >= this.#to) throw malformed('an integer without end');
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) << (7 * count);
      if (byte < 0x80) return value;
    }
    throw malformed('an integer beyond all bounds');
  }

  /** A string (5.2), a character for a byte. */
  #string(): string {
    if (this.#at >= this.#to) throw malformed('a field without end');
    const coded = ((this.#bytes[this.#at] ?? 0) & huffmanCoded) !== 0;
    const length = this.#integer(0x7f);
    const from = this.#at;
    const to = from + length;
    if (to > this.#to) throw malformed('a string longer than its block');
    this.#at = to;
    if (!coded) return this.#bytes.toString('latin1', from, to);
    const longest = decodedBytesMax(length);
    if (longest > decoded.length) decoded = Buffer.allocUnsafeSlow(longest);
    const size = decodeHuffman(this.#bytes, from, to, decoded);
    if (size < 0) throw malformed('a string that is not coded right');
    return decoded.toString('latin1', 0, size);
  }
}

const nothing = Buffer.alloc(0);

const malformed = (reason: string): ConnectionFault =>
  new ConnectionFault(errors.compression, reason);
