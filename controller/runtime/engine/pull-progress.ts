import { z } from 'zod';

const zLine = z.object({
  id: z.string().optional(),
  status: z.string().optional(),
  error: z.string().optional(),
  progressDetail: z
    .object({ current: z.number().optional(), total: z.number().optional() })
    .optional(),
});

/** How far an image has come, from the lines that an engine writes while it fetches it. */
export class PullProgress {
  readonly #layers = new Map<string, { current: number; total: number }>();
  #error: string | undefined;

  /** What went wrong, once it did: engines tell so in the middle of an answer that began well. */
  get error(): string | undefined {
    return this.#error;
  }

  add(line: unknown): void {
    const parsed = zLine.safeParse(line);
    if (!parsed.success) return;
    const { id, status = '', error, progressDetail } = parsed.data;
    this.#error ??= error;
    if (id === undefined) return;
    const before = this.#layers.get(id);
    if (/complete|already exists/i.test(status)) {
      if (before) this.#layers.set(id, { ...before, current: before.total });
      return;
    }
    // Extracting counts anew, and would take the figure back.
    const { current, total } = progressDetail ?? {};
    if (/extract/i.test(status) || current === undefined || !total) return;
    this.#layers.set(id, { current, total });
  }

  /** `40 % of 56 MB`, or '' as long as the engine has not said how much there is. */
  describe(): string {
    const layers = [...this.#layers.values()];
    const sum = (pick: (layer: { current: number; total: number }) => number): number =>
      layers.reduce((total, layer) => total + pick(layer), 0);
    const total = sum((layer) => layer.total);
    if (total === 0) return '';
    const percent = Math.floor(
      (100 * sum((layer) => Math.min(layer.current, layer.total))) / total,
    );
    return `${percent} % of ${Math.max(1, Math.round(total / 1_000_000))} MB`;
  }
}
