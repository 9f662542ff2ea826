import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { logFileBytesMax, podFiles } from '../files.ts';

/**
 * The output of a pod on disk: the newest file grows up to its limit and then takes the place of
 * the older one. Writes are synchronous, so a program that writes faster than the disk is slowed
 * down by its full pipe instead of filling memory.
 */
export class LogFiles {
  readonly #newest: string;
  readonly #older: string;
  #fd: number;
  #size: number;

  constructor(folder: string) {
    const { newestLog, olderLog } = podFiles(folder);
    this.#newest = newestLog;
    this.#older = olderLog;
    this.#fd = openSync(newestLog, 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
  }

  append(bytes: Buffer): void {
    try {
      if (this.#size > 0 && this.#size + bytes.length > logFileBytesMax) this.#rotate();
      this.#size += bytes.length;
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
    } catch {
      // A full disk costs output, never the program.
    }
  }

  #rotate(): void {
    renameSync(this.#newest, this.#older);
    closeSync(this.#fd);
    this.#fd = openSync(this.#newest, 'a', 0o600);
    this.#size = 0;
  }
}
