/** How far output was copied: the time of the newest line, and how much with that time there was. */
interface Place {
  readonly at: string;
  /** Lines of that time, the last of which may lack its end. */
  readonly lines: number;
  /** Of the last of them, without its time. */
  readonly bytes: number;
}

const newline = 0x0a;
const space = 0x20;
const nothing = Buffer.alloc(0);
// RFC 3339 with nanoseconds and an offset.
const timeBytesMax = 40;

/**
 * Takes the times off lines that a log with `timestamps` has, and leaves out what was taken before:
 * `sinceTime` gives whole seconds again.
 */
export class LineTimes {
  readonly #known: Place | undefined;
  #at: string;
  #lines: number;
  #bytes: number;
  /** The beginning of a time. */
  #begun: Buffer = nothing;
  #inLine = false;
  /** Bytes of this line that were taken before; all of them, while it is infinite. */
  #skip = 0;
  #sameTime = 0;

  constructor(known: Place | undefined) {
    this.#known = known;
    const { at, lines, bytes } = known ?? { at: '', lines: 0, bytes: 0 };
    this.#at = at;
    this.#lines = lines;
    this.#bytes = bytes;
  }

  get place(): Place {
    return { at: this.#at, lines: this.#lines, bytes: this.#bytes };
  }

  /** What is new, at most one line at a time, and when it was written (in UTC). */
  *take(chunk: Buffer): Generator<{ readonly at: string; readonly bytes: Buffer }> {
    let rest = this.#begun.length > 0 ? Buffer.concat([this.#begun, chunk]) : chunk;
    this.#begun = nothing;
    while (rest.length > 0) {
      if (!this.#inLine) {
        const end = rest.indexOf(space);
        if (end === -1 && rest.length <= timeBytesMax) {
          this.#begun = rest;
          return;
        }
        const at = rest.toString('latin1', 0, Math.max(0, end));
        this.#beginLine(at);
        rest = rest.subarray(end + 1);
        continue;
      }
      const end = rest.indexOf(newline);
      const part = end === -1 ? rest : rest.subarray(0, end + 1);
      rest = rest.subarray(part.length);
      this.#inLine = end === -1;
      const fresh = part.subarray(Math.min(this.#skip, part.length));
      this.#skip = Math.max(0, this.#skip - part.length);
      if (fresh.length === 0) continue;
      this.#bytes += fresh.length;
      yield { at: this.#at, bytes: fresh };
    }
  }

  #beginLine(at: string): void {
    this.#inLine = true;
    const known = this.#known;
    const isKnownTime = known?.at === at;
    this.#sameTime = isKnownTime ? this.#sameTime + 1 : 0;
    const order = known ? compareTimes(at, known.at) : 1;
    if (order < 0 || (isKnownTime && this.#sameTime < known.lines)) this.#skip = Infinity;
    else if (isKnownTime && this.#sameTime === known.lines) this.#skip = known.bytes;
    else {
      this.#skip = 0;
      this.#lines = this.#at === at ? this.#lines + 1 : 1;
      this.#at = at;
      this.#bytes = 0;
    }
  }
}

/** Of times in UTC with any number of digits. */
function compareTimes(a: string, b: string): number {
  const [x, y] = [a, b].map((time) => time.replace(/Z$/, '').padEnd(timeBytesMax, '0'));
  return (x ?? '') < (y ?? '') ? -1 : x === y ? 0 : 1;
}
