import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import type { CopyTerms } from './copy-api.ts';

/** How often the place is noted; what was written since is compared by its length. */
const noteMs = 250;

/** What every place has: whose output it is in, and the end of our output after it. */
interface Place {
  readonly container: string;
  readonly offset: number;
}

/**
 * How far a container's output has been copied to the files of its pod, noted on disk now and then:
 * bytes that were copied after the last note come again, and are left out.
 */
export class CopiedPlace<P extends Place> {
  readonly #terms: CopyTerms;
  /** Bytes that come again although they are there. */
  #surplus: number;
  #notedMs = -Infinity;
  #place: P;

  /** `first`: where it begins when nothing is noted of this container. */
  constructor(terms: CopyTerms, schema: z.ZodType<P>, first: P) {
    this.#terms = terms;
    const noted = readPlace(terms.folder, schema);
    this.#place = noted?.container === first.container ? noted : first;
    this.#surplus = Math.max(0, terms.files.end - this.#place.offset);
  }

  get at(): P {
    return this.#place;
  }

  move(change: Partial<Omit<P, keyof Place>>): void {
    this.#place = { ...this.#place, ...change };
  }

  /** Puts what has come into the files, but for what is there; `change` is the place after it. */
  take(bytes: Buffer, change: Partial<Omit<P, keyof Place>>): void {
    const { files, clock } = this.#terms;
    const fresh = bytes.subarray(Math.min(bytes.length, this.#surplus));
    this.#surplus -= bytes.length - fresh.length;
    if (fresh.length > 0) files.append(fresh);
    this.#place = { ...this.#place, ...change, offset: this.#place.offset + bytes.length };
    if (clock.monotonicMs() - this.#notedMs >= noteMs) this.note();
  }

  note(): void {
    this.#notedMs = this.#terms.clock.monotonicMs();
    const file = placeFile(this.#terms.folder);
    try {
      writeFileSync(`${file}.new`, JSON.stringify(this.#place), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch {
      // The pod was removed meanwhile, or the disk is full: then some of it may come twice.
    }
  }
}

const placeFile = (folder: string): string => join(folder, 'copied.json');

function readPlace<P>(folder: string, schema: z.ZodType<P>): P | undefined {
  try {
    return schema.safeParse(JSON.parse(readFileSync(placeFile(folder), 'utf8'))).data;
  } catch {
    return undefined;
  }
}
