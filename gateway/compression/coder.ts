import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { ContentSink } from '../upstream/exchange.ts';
import { kept } from '../upstream/memory.ts';
import type { Coding } from './negotiate.ts';

/** Who hears of a coder at work. */
export interface CoderOwner {
  /** It takes content again. */
  coderDrained(): void;
  /** What is out so far must not look complete. */
  cut(): void;
}

// Levels at which a text shrinks to a quarter at some 100 MB/s; windows that bound the memory.
const makers: Readonly<Record<Coding, () => Transform & { flush(): void }>> = {
  gzip: () => zlib.createGzip({ level: 5 }),
  br: () =>
    zlib.createBrotliCompress({
      params: {
        [zlib.constants.BROTLI_PARAM_QUALITY]: 4,
        [zlib.constants.BROTLI_PARAM_LGWIN]: 18,
      },
    }),
  zstd: () =>
    zlib.createZstdCompress({
      params: {
        [zlib.constants.ZSTD_c_compressionLevel]: 3,
        [zlib.constants.ZSTD_c_windowLog]: 19,
      },
    }),
};

/** How many coders work in this worker: each holds up to a megabyte and a share of the thread pool. */
export interface Coders {
  running: number;
}

/** Compresses the content of one answer on its way; the work is done by the thread pool. */
export class Coder implements ContentSink {
  readonly #stream: Transform & { flush(): void };
  readonly #to: ContentSink;
  #unwritten = 0;
  #flushWanted = false;
  #trailers = '';

  constructor(
    coding: Coding,
    to: ContentSink,
    { owner, coders }: { owner: CoderOwner; coders: Coders },
  ) {
    this.#to = to;
    this.#stream = makers[coding]();
    coders.running += 1;
    this.#stream.on('close', () => (coders.running -= 1));
    this.#stream.on('data', (bytes: Buffer) => {
      to.content(bytes);
      to.flush();
    });
    this.#stream.on('drain', () => owner.coderDrained());
    this.#stream.on('end', () => to.end(this.#trailers));
    this.#stream.on('error', () => owner.cut());
  }

  get blocked(): boolean {
    return this.#stream.writableNeedDrain;
  }

  content(bytes: Buffer | string): void {
    this.#unwritten += 1;
    const own = typeof bytes === 'string' ? bytes : kept(bytes);
    this.#stream.write(own, 'latin1', () => this.#written());
  }

  /** What the pod said so far goes out, unless more of it waits already. */
  flush(): void {
    this.#to.flush();
    this.#flushWanted = true;
    if (this.#unwritten === 0) this.#flushNow();
  }

  end(trailers: string): void {
    this.#trailers = trailers;
    this.#stream.end();
  }

  /** Nobody wants the rest. */
  abandon(): void {
    this.#stream.destroy();
  }

  #written(): void {
    this.#unwritten -= 1;
    if (this.#unwritten === 0 && this.#flushWanted) this.#flushNow();
  }

  #flushNow(): void {
    this.#flushWanted = false;
    if (!this.#stream.writableEnded && !this.#stream.destroyed) this.#stream.flush();
  }
}
