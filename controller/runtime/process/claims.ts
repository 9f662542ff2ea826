import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../error-code.ts';
import type { RunSpec } from '../runtime.ts';

type Launch = Pick<RunSpec, 'run' | 'podCreatedAtMs'>;

const prefix = 'launch-';
const nobody = 'nobody';

/**
 * Which of the controllers that believe they lead may launch a run: one that was stopped (SIGSTOP)
 * and goes on after another took over finds its claim gone, and launches nothing a second time.
 */
export class LaunchClaim {
  readonly #folder: string;
  readonly #file: string;
  readonly #holder: string;

  /** `holder` is a name that no other controller has. */
  constructor(folder: string, { podCreatedAtMs, run }: Launch, holder: string) {
    this.#folder = folder;
    this.#file = join(folder, `${prefix}${podCreatedAtMs}-${run}`);
    this.#holder = holder;
  }

  /** False when somebody has claimed this launch before. Forgets the claims of earlier runs. */
  take(): boolean {
    try {
      writeFileSync(this.#file, this.#holder, { flag: 'wx', mode: 0o600 });
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return false;
      throw error;
    }
    for (const name of readdirSync(this.#folder)) {
      const file = join(this.#folder, name);
      if (name.startsWith(prefix) && file !== this.#file) rmSync(file, { force: true });
    }
    return true;
  }

  /** Whether it is still ours. To be asked right before the launch, with nothing in between. */
  get held(): boolean {
    try {
      return readFileSync(this.#file, 'utf8') === this.#holder;
    } catch {
      return false;
    }
  }

  /** Nothing came of it: it may be taken again. */
  release(): void {
    if (this.held) rmSync(this.#file, { force: true });
  }

  /** Whoever has it has it no more, and nobody can take it again. */
  revoke(): void {
    writeFileSync(this.#file, nobody, { mode: 0o600 });
  }
}
