import type { Registry } from 'prom-client';
import { Counter, Gauge, Histogram } from 'prom-client';

/** Metrics whose values are kept elsewhere and looked up when somebody scrapes. */

type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

export interface Named {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** One value that goes up and down, or one for each set of labels there is now. */
export function gauge(
  registry: Registry,
  named: Named,
  samples: () => Iterable<Sample> | number,
): void {
  const metric: Gauge = new Gauge({
    ...named,
    registers: [registry],
    collect: () => {
      // What is not said again is gone, as the worker that it was about.
      metric.reset();
      for (const { labels, value } of listed(samples())) metric.set(labels, value);
    },
  });
}

/** Values that only grow while this process lives. */
export function counter(
  registry: Registry,
  named: Named,
  samples: () => Iterable<Sample> | number,
): void {
  const metric: Counter = new Counter({
    ...named,
    registers: [registry],
    collect: () => {
      metric.reset();
      for (const { labels, value } of listed(samples())) metric.inc(labels, value);
    },
  });
}

const listed = (samples: Iterable<Sample> | number): Iterable<Sample> =>
  typeof samples === 'number' ? [{ labels: {}, value: samples }] : samples;

export interface Distribution {
  readonly labels: Labels;
  /** How many lay in each bucket, one more than there are bounds: the last is without bound. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** A histogram that is counted elsewhere; `bounds` are upper ones, inclusive, ascending. */
export function histogram(
  registry: Registry,
  named: NamedHistogram,
  distributions: () => Iterable<Distribution>,
): void {
  registry.registerMetric(new CountedElsewhere(named, distributions));
}

type Rendered = Awaited<ReturnType<Histogram['get']>>['values'];

type NamedHistogram = Named & { readonly bounds: readonly number[] };

/** prom-client's own can only observe values one by one. */
class CountedElsewhere extends Histogram {
  readonly #named: NamedHistogram;
  readonly #distributions: () => Iterable<Distribution>;

  constructor(named: NamedHistogram, distributions: () => Iterable<Distribution>) {
    const { name, help, labelNames = [], bounds } = named;
    super({ name, help, labelNames, buckets: [...bounds], registers: [] });
    this.#named = named;
    this.#distributions = distributions;
  }

  /** What the registry renders from; it is in no declaration, a test pins it. */
  async getForPromString(): Promise<object> {
    const { name, help } = this.#named;
    const values = [...this.#distributions()].flatMap((each) => this.#series(each));
    return { name, help, type: 'histogram', values };
  }

  #series({ labels, counts, sum }: Distribution): Rendered {
    const { name, bounds } = this.#named;
    let below = 0;
    const buckets = [...bounds, '+Inf'].map((le, index) => {
      below += counts[index] ?? 0;
      return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: below },
    ];
  }
}
