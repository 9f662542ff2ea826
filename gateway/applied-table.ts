/** A state of the bus's table. */
export interface TableState {
  readonly epoch: string;
  readonly revision: number;
}

interface Told extends TableState {
  readonly step: number;
}

/**
 * Which state of the table the workers apply. They are told steps, which only grow, because revisions
 * begin anew when the bus loses its table.
 */
export class AppliedTable {
  #step = 0;
  /** Told and not yet applied by all, in order. */
  #ahead: Told[] = [];
  #applied: TableState | undefined;

  get step(): number {
    return this.#step;
  }

  get revision(): number {
    return this.#applied?.revision ?? -1;
  }

  /** Another state is sent to the workers, of the bus or (without an epoch) from disk; returns its step. */
  told(epoch: string | undefined, revision: number): number {
    this.#step += 1;
    if (epoch !== undefined) this.#ahead.push({ step: this.#step, epoch, revision });
    return this.#step;
  }

  /** All workers have taken `step`; returns the state that they newly serve, if it is of the bus. */
  taken(step: number): TableState | undefined {
    const reached = this.#ahead.findLastIndex((told) => told.step <= step);
    if (reached < 0) return undefined;
    const [last] = this.#ahead.splice(0, reached + 1).slice(-1);
    this.#applied = last;
    return last;
  }
}
