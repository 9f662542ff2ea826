import { hopByHop } from './fields.ts';

const CR = 0x0d;
const LF = 0x0a;
const colon = 0x3a;
const underscore = 0x5f;

// RFC 9110, 5.6.2: what names are made of; and 5.5: what values may hold besides white space.
const inToken = 1;
const inValue = 2;
const classes = new Uint8Array(256);
for (let code = 0x20; code < 256; code += 1) if (code !== 0x7f) classes[code] = inValue;
classes[0x09] = inValue;
for (const char of "!#$%&'*+-.^_`|~") classes[char.charCodeAt(0)] = inToken | inValue;
for (let code = 0; code < 128; code += 1) {
  if (/[0-9A-Za-z]/.test(String.fromCharCode(code))) classes[code] = inToken | inValue;
}

/** The names that anything here depends on; all others only pass by. */
const interesting = [
  ...hopByHop,
  'accept',
  'accept-encoding',
  'access-control-request-headers',
  'access-control-request-method',
  'authorization',
  'cache-control',
  'content-length',
  'content-type',
  'forwarded',
  'host',
  'origin',
  'x-real-ip',
  'x-request-id',
];
const byLengthAndInitial: string[][] = Array.from({ length: 32 * 32 }, () => []);
for (const name of interesting)
  byLengthAndInitial[slotOf(name.length, name.charCodeAt(0))]?.push(name);

function slotOf(length: number, initial: number): number {
  return (Math.min(length, 31) << 5) | (initial & 31);
}

/**
 * Goes through the field lines of a head and says where their parts are. Nothing is cut out of the
 * text until somebody wants it: most fields only pass by. One object serves many heads in turn.
 */
export class FieldLines {
  malformed = false;
  /** Where the line begins, and where the next one does. */
  from = 0;
  to = 0;
  #text = '';
  #nameTo = 0;
  #underscored = false;

  /** `text` holds whole lines, each with CRLF, from `from` on. */
  begin(text: string, from: number): void {
    this.#text = text;
    this.to = from;
    this.malformed = false;
  }

  /** Whether there is another line; false as well when it is `malformed`. */
  next(): boolean {
    const text = this.#text;
    let at = this.to;
    this.from = at;
    if (at >= text.length) return false;
    let underscored = false;
    let code = text.charCodeAt(at);
    // A space before the colon, or at the start (obs-fold), is no token character.
    while ((classAt(code) & inToken) !== 0) {
      if (code === underscore) underscored = true;
      at += 1;
      code = text.charCodeAt(at);
    }
    if (code !== colon || at === this.from) return this.#fail();
    this.#nameTo = at;
    this.#underscored = underscored;
    do {
      at += 1;
      code = text.charCodeAt(at);
    } while (classAt(code) !== 0);
    // Everything but a whole CRLF is a character that must not be there (RFC 9112, 2.2).
    if (code !== CR || text.charCodeAt(at + 1) !== LF) return this.#fail();
    this.to = at + 2;
    return true;
  }

  /** The name in lower case where anything depends on it, else nothing. */
  get name(): string {
    const text = this.#text;
    const length = this.#nameTo - this.from;
    for (const name of byLengthAndInitial[slotOf(length, text.charCodeAt(this.from))] ?? []) {
      if (name.length === length && this.#isNamed(name)) return name;
    }
    return '';
  }

  /** As programs behind CGI and WSGI read it, it would be another way to write a name with `-`. */
  get underscored(): boolean {
    return this.#underscored;
  }

  /** Whether the name begins with this, which is in lower case. */
  begins(prefix: string): boolean {
    return this.#nameTo - this.from >= prefix.length && this.#isNamed(prefix);
  }

  get anyName(): string {
    return this.#text.slice(this.from, this.#nameTo).toLowerCase();
  }

  /** Without optional white space. */
  get value(): string {
    const text = this.#text;
    let from = this.#nameTo + 1;
    let to = this.to - 2;
    while (from < to && isSpace(text.charCodeAt(from))) from += 1;
    while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
    return text.slice(from, to);
  }

  /** With all of its white space. */
  get rawValue(): string {
    return this.#text.slice(this.#nameTo + 1, this.to - 2);
  }

  // Names are tokens, and among those only letters differ from these in this bit.
  #isNamed(name: string): boolean {
    for (let at = 0; at < name.length; at += 1) {
      if ((this.#text.charCodeAt(this.from + at) | 0x20) !== name.charCodeAt(at)) return false;
    }
    return true;
  }

  #fail(): false {
    this.malformed = true;
    return false;
  }
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09;

/** Nothing for codes beyond latin1, and behind the end of a text. */
const classAt = (code: number): number => classes[code] ?? 0;

/** The lines that are passed on, gathered in as few pieces as possible. */
export class KeptLines {
  #text = '';
  #kept = '';
  #from = -1;
  #to = 0;

  /** Of this text, whose lines begin at `from`. */
  begin(text: string, from: number): void {
    this.#text = text;
    this.#kept = '';
    this.#from = from;
    this.#to = from;
  }

  keep({ from, to }: FieldLines): void {
    if (from !== this.#to) this.#cut(from);
    this.#to = to;
  }

  /** What was kept, each line with CRLF. */
  take(): string {
    this.#cut(0);
    const kept = this.#kept;
    this.#text = '';
    this.#kept = '';
    return kept;
  }

  #cut(next: number): void {
    if (this.#from < this.#to) this.#kept += this.#text.slice(this.#from, this.#to);
    this.#from = next;
  }
}
