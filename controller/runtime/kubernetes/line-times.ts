/** How far output was copied: the time of the last line, and how much with that time there was. */
interface Place {
  readonly at: string;
  /** Lines of that time, the last of which may lack its end. */
  readonly lines: number;
  /** Of the last of them, without its time. */
  readonly bytes: number;
  /** Of all lines so far; later than `at` where the node's clock was set back. */
  readonly newest: string;
}

const newline = 0x0a;
const space = 0x20;
const nothing = Buffer.alloc(0);
// RFC 3339 with nanoseconds and an offset.
const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;
const timeBytesMax = 40;
/** Of `2026-01-01T00:00:00`. */
const secondLength = 19;
/** A node's clock may be set back by so much between two looks, and nothing is missed. */
const overlapMs = 5_000;

/** From when on to ask for lines to have all that come after a place, for `LineTimes` to sort out. */
export const sinceOf = ({ at }: Place): string =>
  new Date(Date.parse(at) - overlapMs).toISOString();

/**
 * Takes the times off lines that a log with `timestamps` has, and leaves out what was taken before.
 * Lines are known by their order, as a node's clock may be set back.
 */
export class LineTimes {
  readonly #known: Place | undefined;
  #place: { at: string; lines: number; bytes: number; newest: string };
  /** The line that was the last one is behind us. */
  #passed: boolean;
  /** The beginning of a time. */
  #begun: Buffer = nothing;
  #inLine = false;
  /** Bytes of this line that were taken before; all of them, while it is infinite. */
  #skip = Infinity;
  /** Lines so far with the time of the last one that is known. */
  #sameTime = 0;

  constructor(known: Place | undefined) {
    this.#known = known;
    this.#passed = known === undefined;
    this.#place = { ...(known ?? { at: '', lines: 0, bytes: 0, newest: '' }) };
  }

  get place(): Place {
    return this.#place;
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
        this.#inLine = true;
        // The rest of a line whose beginning is older than what was asked for.
        if (!timePattern.test(at)) continue;
        this.#beginLine(inUtc(at));
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
      this.#place.bytes += fresh.length;
      yield { at: this.#place.at, bytes: fresh };
    }
  }

  #beginLine(at: string): void {
    const known = this.#known;
    if (!this.#passed && known && at === known.at) {
      this.#sameTime += 1;
      this.#passed = this.#sameTime === known.lines;
      this.#skip = this.#passed ? known.bytes : Infinity;
      return;
    }
    // The last one may be gone from the node by now: what is newer than all was not there before.
    if (!this.#passed && known) this.#passed = compareTimes(at, known.newest) > 0;
    this.#skip = this.#passed ? 0 : Infinity;
    if (!this.#passed) return;
    const { at: before, lines, newest } = this.#place;
    const isNewest = newest === '' || compareTimes(at, newest) > 0;
    this.#place = {
      at,
      lines: at === before ? lines + 1 : 1,
      bytes: 0,
      newest: isNewest ? at : newest,
    };
  }
}

/** Nodes write their own time zone: `+02:00` instead of `Z`. Fractions of a second stay as they are. */
function inUtc(time: string): string {
  if (time.endsWith('Z')) return time;
  const offset = /[+-]\d\d:\d\d$/.exec(time)?.[0];
  if (offset === undefined) return time;
  const second = new Date(Date.parse(time.slice(0, secondLength) + offset)).toISOString();
  return `${second.slice(0, secondLength)}${time.slice(secondLength, -offset.length)}Z`;
}

/** Of times in UTC with any number of digits. */
function compareTimes(a: string, b: string): number {
  const [x, y] = [a, b].map((time) => time.replace(/Z$/, '').padEnd(timeBytesMax, '0'));
  return (x ?? '') < (y ?? '') ? -1 : x === y ? 0 : 1;
}
