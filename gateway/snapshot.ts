import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Certificate } from '#contracts/certificate.ts';
import { zCertificate } from '#contracts/certificate.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Route } from '#contracts/route.ts';
import { zRoute } from '#contracts/route.ts';

/** The last good tables, for a start while everything else is down. Private keys in it are sealed. */
const zTables = z.strictObject({
  savedAtMs: z.number(),
  routes: z.array(zRoute),
  certificates: z.record(z.string(), zCertificate),
});
type Tables = z.infer<typeof zTables>;

/** Tables as they are at one moment. */
interface Standing {
  readonly routes: readonly Route[];
  readonly certificates: Iterable<readonly [string, Certificate]>;
}

const saveDelayMs = 500; // a burst of changes is one write
// However many changes there are: 1 to 5 % of a core, and a crash costs those of 10 s among 100,000 routes.
const entriesPerSecondMax = 10_000;
const entriesPerPiece = 200; // about a millisecond each, and edits pass between them

/** The tables on disk: written soon after a change, never twice at once. */
export class TableFile {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #tables: () => Standing;
  /** Monotonic. */
  #notBeforeMs = 0;
  #cancel: (() => void) | undefined;
  #writing: Promise<void> | undefined;

  constructor(
    file: string,
    ports: { readonly clock: Clock; readonly log: Log },
    tables: () => Standing,
  ) {
    this.#file = file;
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#tables = tables;
  }

  /** Notes that the tables differ from the file. */
  changed(): void {
    const delayMs = Math.max(saveDelayMs, this.#notBeforeMs - this.#clock.monotonicMs());
    this.#cancel ??= this.#clock.after(delayMs, () => {
      this.#cancel = undefined;
      // Two writers at once would mix their halves in one file.
      if (this.#writing) this.changed();
      else this.#write();
    });
  }

  /** Resolves when everything noted is on disk; nothing is written afterwards. */
  async flush(): Promise<void> {
    await this.#writing;
    if (!this.#cancel) return;
    this.#cancel();
    this.#cancel = undefined;
    this.#write();
    await this.#writing;
  }

  /** What was saved, or undefined when there is nothing that can be used. */
  async load(): Promise<Tables | undefined> {
    try {
      const json: unknown = JSON.parse(await readFile(this.#file, 'utf8'));
      return zTables.parse(json);
    } catch (error) {
      const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!absent) this.#log.error({ error: String(error) }, 'the saved tables cannot be used');
      return undefined;
    }
  }

  #write(): void {
    const { routes, certificates } = this.#tables();
    const standing = { routes, certificates: [...certificates] };
    const entries = standing.routes.length + standing.certificates.length;
    this.#notBeforeMs = this.#clock.monotonicMs() + (entries * 1_000) / entriesPerSecondMax;
    const pieces = jsonPieces(this.#clock.nowMs(), standing);
    this.#writing = replaceFile(this.#file, pieces)
      .catch((error: unknown) => {
        this.#log.error({ error: String(error) }, 'the tables could not be saved');
      })
      .finally(() => {
        this.#writing = undefined;
      });
  }
}

/** JSON of `Tables`. In one piece, those of 100,000 routes would stop everything for half a second. */
function* jsonPieces(savedAtMs: number, { routes, certificates }: Standing): Generator<string> {
  yield `{"savedAtMs":${savedAtMs},"routes":[`;
  yield* joined(routes, (route) => JSON.stringify(route));
  yield '],"certificates":{';
  yield* joined(certificates, ([id, one]) => `${JSON.stringify(id)}:${JSON.stringify(one)}`);
  yield '}}';
}

function* joined<T>(items: Iterable<T>, text: (item: T) => string): Generator<string> {
  let piece: string[] = [];
  let comma = '';
  for (const item of items) {
    piece.push(text(item));
    if (piece.length < entriesPerPiece) continue;
    yield comma + piece.join(',');
    piece = [];
    comma = ',';
  }
  if (piece.length > 0) yield comma + piece.join(',');
}

/** Replaces the file in one step: a reader, or a crash, sees the old one or the new one. */
async function replaceFile(file: string, pieces: Iterable<string>): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.next`;
  const handle = await open(next, 'w', 0o600);
  try {
    for (const piece of pieces) await handle.appendFile(piece);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
}
