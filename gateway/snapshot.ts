import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Route } from '#contracts/route.ts';
import { zRoute } from '#contracts/route.ts';

/** The last good routes, for a start while everything else is down. Earlier files hold certificates as well. */
const zTables = z.object({ savedAtMs: z.number(), routes: z.array(zRoute) });
type Tables = z.infer<typeof zTables>;

const saveDelayMs = 500; // a burst of changes is one write
// However many changes there are: 1 to 5 % of a core, and a crash costs those of 10 s among 100,000 routes.
const routesPerSecondMax = 10_000;
const routesPerPiece = 200; // about a millisecond each, and edits pass between them

/** The routes on disk: written soon after a change, never twice at once. */
export class TableFile {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #routes: () => readonly Route[];
  /** Monotonic. */
  #notBeforeMs = 0;
  #cancel: (() => void) | undefined;
  #writing: Promise<void> | undefined;

  constructor(
    file: string,
    ports: { readonly clock: Clock; readonly log: Log },
    routes: () => readonly Route[],
  ) {
    this.#file = file;
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#routes = routes;
  }

  /** Notes that the routes differ from the file. */
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
    const routes = this.#routes();
    this.#notBeforeMs = this.#clock.monotonicMs() + (routes.length * 1_000) / routesPerSecondMax;
    const pieces = jsonPieces(this.#clock.nowMs(), routes);
    this.#writing = replaceFile(this.#file, pieces)
      .catch((error: unknown) => {
        this.#log.error({ error: String(error) }, 'the tables could not be saved');
      })
      .finally(() => {
        this.#writing = undefined;
      });
  }
}

/** JSON of `Tables`. In one piece, that of 100,000 routes would stop everything for half a second. */
function* jsonPieces(savedAtMs: number, routes: readonly Route[]): Generator<string> {
  yield `{"savedAtMs":${savedAtMs},"routes":[`;
  for (let at = 0; at < routes.length; at += routesPerPiece) {
    const piece = routes.slice(at, at + routesPerPiece).map((route) => JSON.stringify(route));
    yield (at > 0 ? ',' : '') + piece.join(',');
  }
  yield ']}';
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
