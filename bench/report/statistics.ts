/** Of an odd or even number of values; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** The value that a share `q` (0 to 1) of all values does not exceed, without interpolation. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * q) - 1))] ?? NaN;
}

export const range = (values: readonly number[]): readonly [number, number] => [
  Math.min(...values),
  Math.max(...values),
];

export interface Ratio {
  readonly ofMedians: number;
  /** Each round against the same round of the other: what a noisy machine does to both cancels out. */
  readonly perRound: number;
  readonly perRoundRange: readonly [number, number];
}

/** How many times `theirs` `ours` is. */
export function ratio(ours: readonly number[], theirs: readonly number[]): Ratio {
  const rounds = Math.min(ours.length, theirs.length);
  const each = Array.from({ length: rounds }, (_, at) => (ours[at] ?? NaN) / (theirs[at] ?? NaN));
  return {
    ofMedians: median(ours) / median(theirs),
    perRound: median(each),
    perRoundRange: range(each),
  };
}
