import type { Priority } from './assess.ts';

const classes = 5;

/** Certificates that wait for their order: by class, within one by who came first. */
export class Waiting {
  readonly #classes = Array.from({ length: classes }, () => new Set<string>());
  readonly #heldUntilMs = Array.from({ length: classes }, () => 0);

  get size(): number {
    return this.#classes.reduce((sum, ids) => sum + ids.size, 0);
  }

  put(id: string, priority: Priority): void {
    if (this.#classes[priority]?.has(id)) return;
    this.remove(id);
    this.#classes[priority]?.add(id);
  }

  remove(id: string): void {
    for (const ids of this.#classes) ids.delete(id);
  }

  /** Takes the next one that is not held back. */
  take(nowMs: number): string | undefined {
    for (const [index, ids] of this.#classes.entries()) {
      const [id] = ids;
      if (id === undefined || (this.#heldUntilMs[index] ?? 0) > nowMs) continue;
      ids.delete(id);
      return id;
    }
    return undefined;
  }

  /** Nobody of this class, or a lesser one, is served before. */
  hold(priority: Priority, untilMs: number): void {
    for (let index: number = priority; index < classes; index += 1) {
      this.#heldUntilMs[index] = Math.max(this.#heldUntilMs[index] ?? 0, untilMs);
    }
  }

  /** Everybody in the order of serving, from 1 on. */
  *places(): Iterable<readonly [id: string, place: number]> {
    let place = 0;
    for (const ids of this.#classes) for (const id of ids) yield [id, ++place];
  }
}
