const headBytes = 5; // a type and a length that counts itself
const backendKeyData = 'K'.charCodeAt(0);
/** What a server may say between the startup message and its key: R, S, N and v. */
const beforeKey: ReadonlySet<number> = new Set(Buffer.from('RSNv'));
/** A process id and a secret: of 4 bytes in protocol 3.0, up to 256 since 3.2. */
const keyBytesMin = 4 + 4;
const keyBytesMax = 4 + 256;
const startupBytesMax = 65_536; // parameters and notices; beyond it nobody is starting up

/**
 * Finds BackendKeyData in what a Postgres says first, in whatever pieces, by looking on: nothing is
 * kept but the key. Ends with the first message that is none of starting up (ReadyForQuery, an error).
 */
export class BackendKeyReader {
  readonly #head = Buffer.alloc(headBytes);
  #headLength = 0;
  #bodyLeft = 0;
  #key: Buffer = Buffer.alloc(0);
  #seen = 0;

  /** Process id and secret in hex; `none` when there will be no key. */
  push(bytes: Buffer): 'more' | 'none' | { readonly key: string } {
    this.#seen += bytes.length;
    for (let at = 0; at < bytes.length;) {
      if (this.#headLength < headBytes) at = this.#takeHead(bytes, at);
      else at = this.#takeBody(bytes, at);
      if (this.#headLength < headBytes) continue;
      if (!this.#expected()) return 'none';
      if (this.#bodyLeft > 0) continue;
      if (this.#head[0] === backendKeyData) return { key: this.#key.toString('hex') };
      this.#headLength = 0;
    }
    return this.#seen > startupBytesMax ? 'none' : 'more';
  }

  #takeHead(bytes: Buffer, at: number): number {
    const taken = bytes.copy(this.#head, this.#headLength, at);
    this.#headLength += taken;
    if (this.#headLength === headBytes) this.#bodyLeft = this.#bodyBytes();
    return at + taken;
  }

  #takeBody(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#bodyLeft);
    if (this.#head[0] === backendKeyData) {
      this.#key = Buffer.concat([this.#key, bytes.subarray(at, end)]);
    }
    this.#bodyLeft -= end - at;
    return end;
  }

  #bodyBytes(): number {
    return this.#head.readUInt32BE(1) - 4;
  }

  #expected(): boolean {
    const [type = 0] = this.#head;
    const length = this.#bodyBytes();
    if (type === backendKeyData) return length >= keyBytesMin && length <= keyBytesMax;
    return beforeKey.has(type) && length >= 0;
  }
}

/** Where one can listen to what a database says; bytes are good for the call only. */
export interface Overheard {
  overhear(listener: ((bytes: Buffer) => void) | undefined): void;
}

/** Looks on until a database has given out the key of this session, or gives none; then no longer. */
export function onceKeyed(database: Overheard, found: (key: string) => void): void {
  const reader = new BackendKeyReader();
  database.overhear((bytes) => {
    const seen = reader.push(bytes);
    if (seen === 'more') return;
    database.overhear(undefined);
    if (seen !== 'none') found(seen.key);
  });
}
