import fs from 'node:fs';
import type { Clock } from '#contracts/clock.ts';
import type { LineSink } from '../observe/access-log.ts';

const stderr = 2;
// Writes to a pipe up to this size do not mix with those of other workers (POSIX, PIPE_BUF).
const pipeBytes = 4_096;
const againMs = 10;
const mode = 0o640; // addresses and paths are nobody else's business

/**
 * Appends lines to a file, or to stderr without a `path`. Where the file was moved away (logrotate),
 * a new one is begun with the next lines.
 */
export class AccessFile implements LineSink {
  readonly #path: string;
  readonly #clock: Clock;
  #fd: number;
  #isFile: boolean;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    this.#fd = path === '' ? stderr : fs.openSync(path, 'a', mode);
    this.#isFile = fs.fstatSync(this.#fd).isFile();
  }

  write(lines: string, done: () => void): void {
    this.#follow();
    this.#writeRest(Buffer.from(lines), done);
  }

  #writeRest(bytes: Buffer, done: () => void): void {
    const piece = this.#isFile ? bytes : bytes.subarray(0, wholeLines(bytes));
    fs.write(this.#fd, piece, (error, written) => {
      // Somebody made the pipe non-blocking, and its reader is behind.
      if (error?.code === 'EAGAIN') this.#clock.after(againMs, () => this.#writeRest(bytes, done));
      // A full disk: these lines are lost, later ones may find room.
      else if (error || written === bytes.length) done();
      else this.#writeRest(bytes.subarray(written), done);
    });
  }

  #follow(): void {
    if (this.#path === '') return;
    try {
      const there = fs.statSync(this.#path, { throwIfNoEntry: false });
      if (there?.ino === fs.fstatSync(this.#fd).ino) return;
      const fd = fs.openSync(this.#path, 'a', mode);
      fs.closeSync(this.#fd);
      this.#fd = fd;
      this.#isFile = fs.fstatSync(fd).isFile();
    } catch {
      // The folder is gone or closed for now: the old file is better than none.
    }
  }
}

/** How many bytes of whole lines fit into one write; a longer line goes in parts. */
function wholeLines(bytes: Buffer): number {
  if (bytes.length <= pipeBytes) return bytes.length;
  const end = bytes.lastIndexOf('\n', pipeBytes - 1);
  return end < 0 ? pipeBytes : end + 1;
}
