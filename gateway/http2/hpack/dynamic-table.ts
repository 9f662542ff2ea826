const entryOverhead = 32; // RFC 7541, 4.1

/** The size of a field as tables and header lists count it. */
export const fieldSize = (name: string, value: string): number =>
  name.length + value.length + entryOverhead;

/** The fields that a connection said before (RFC 7541, 2.3.2), the newest first, bounded in size. */
export class DynamicTable {
  /** Counts what was put in, fell out or changed its bound: as long as it is the same, the same indexes mean the same. */
  changes = 0;
  /** A ring of names and values in turn. */
  readonly #ring: string[];
  readonly #slots: number;
  readonly #bytesMax: number;
  #bound: number;
  #size = 0;
  #newest = 0;
  #count = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#bound = bytesMax;
    this.#slots = Math.max(1, Math.floor(bytesMax / entryOverhead));
    this.#ring = [];
  }

  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.#size;
  }

  /** `index` 0 is the newest; it must be below `count`. */
  name(index: number): string {
    return this.#ring[this.#slot(index) * 2] ?? '';
  }

  value(index: number): string {
    return this.#ring[this.#slot(index) * 2 + 1] ?? '';
  }

  /** Whether it may be that large (4.2). */
  resize(bytes: number): boolean {
    if (bytes > this.#bytesMax) return false;
    if (bytes !== this.#bound) this.changes += 1;
    this.#bound = bytes;
    this.#evict(bytes);
    return true;
  }

  /** One that is larger than the table empties it (4.4). */
  add(name: string, value: string): void {
    this.changes += 1;
    const size = fieldSize(name, value);
    this.#evict(this.#bound - size);
    if (size > this.#bound) return;
    this.#newest = (this.#newest + 1) % this.#slots;
    this.#ring[this.#newest * 2] = name;
    this.#ring[this.#newest * 2 + 1] = value;
    this.#count += 1;
    this.#size += size;
  }

  #slot(index: number): number {
    return (this.#newest - index + this.#slots) % this.#slots;
  }

  #evict(bytes: number): void {
    while (this.#count > 0 && this.#size > bytes) {
      const oldest = this.#slot(this.#count - 1) * 2;
      this.#size -= fieldSize(this.#ring[oldest] ?? '', this.#ring[oldest + 1] ?? '');
      this.#ring[oldest] = '';
      this.#ring[oldest + 1] = '';
      this.#count -= 1;
      this.changes += 1;
    }
  }
}
