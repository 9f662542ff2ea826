import assert from 'node:assert/strict';

/** A strict reader of Prometheus' text format, version 0.0.4: what it takes, every scraper takes. */

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

interface Building {
  readonly name: string;
  readonly help: string;
  type: string;
  readonly samples: Sample[];
}

const types = new Set(['counter', 'gauge', 'histogram']);
const namePattern = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const samplePattern =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\]|\\[\\n"])*",?)*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf|-Inf|NaN)$/;
const labelPattern = /([a-zA-Z_]\w*)="((?:[^"\\]|\\[\\n"])*)"/g;

/** By name of the metric; throws what is wrong with the text. */
export async function parseExposition(source: {
  metrics(): Promise<string>;
}): Promise<ReadonlyMap<string, Family>> {
  const text = await source.metrics();
  assert(text.endsWith('\n'), 'the last line does not end');
  const families = new Map<string, Building>();
  let current: Building | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (line.startsWith('# HELP ')) current = begin(line, families);
    else if (line.startsWith('# TYPE ')) setType(line, current);
    else take(line, current);
  }
  for (const family of families.values()) check(family);
  return families;
}

/** One value of a family, whatever the order of its labels; undefined when there is none. */
export function valueOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const family = families.get(name.replace(/_(bucket|sum|count)$/, '')) ?? families.get(name);
  return family?.samples.find(
    (sample) => sample.name === name && keyOf('', sample.labels) === keyOf('', labels),
  )?.value;
}

function begin(line: string, families: Map<string, Building>): Building {
  const [, name = '', help = ''] = /^# HELP (\S+) (.+)$/.exec(line) ?? [];
  assert.match(name, namePattern, line);
  assert(!families.has(name), `${name} begins twice`);
  const family = { name, help, type: '', samples: [] };
  families.set(name, family);
  return family;
}

function setType(line: string, family: Building | undefined): void {
  const [, name, type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
  assert(family && family.name === name, `${line}: no HELP before it`);
  assert(family.type === '' && types.has(type), `${line}: a second type, or none that is known`);
  family.type = type;
}

function take(line: string, family: Building | undefined): void {
  const [, name = '', labelText = '', value = ''] = samplePattern.exec(line) ?? [];
  assert(name !== '', `no sample: ${line}`);
  assert(family && family.type !== '', `${line}: no type before it`);
  const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  assert(
    suffixes.some((suffix) => name === family.name + suffix),
    `${line}: of another metric`,
  );
  const labels = [...labelText.matchAll(labelPattern)].map(([, key = '', escaped = '']) => [
    key,
    escaped.replaceAll(/\\(.)/g, (_all, letter: string) => (letter === 'n' ? '\n' : letter)),
  ]);
  family.samples.push({
    name,
    labels: Object.fromEntries(labels),
    value: Number(value.replace('Inf', 'Infinity')),
  });
}

function check({ name, type, samples }: Building): void {
  const keys = samples.map((sample) => keyOf(sample.name, sample.labels));
  assert.equal(new Set(keys).size, keys.length, `${name}: a sample comes twice`);
  if (type === 'gauge') return;
  for (const { value } of samples) assert(value >= 0, `${name}: ${value} was never counted`);
  if (type === 'counter') assert(name.endsWith('_total'), `${name} counts and is no _total`);
  else checkBuckets(name, samples);
}

function checkBuckets(name: string, samples: readonly Sample[]): void {
  const counts = samples.filter((sample) => sample.name === `${name}_count`);
  assert(counts.length > 0 || samples.length === 0, `${name} has no _count`);
  for (const count of counts) {
    const own = samples.filter(
      (sample) =>
        sample.name === `${name}_bucket` &&
        keyOf('', { ...sample.labels, le: '' }) === keyOf('', { ...count.labels, le: '' }),
    );
    const bounds = own.map(({ labels }) => Number(labels['le']?.replace('Inf', 'Infinity')));
    const values = own.map(({ value }) => value);
    assert.deepEqual(
      bounds,
      bounds.toSorted((a, b) => a - b),
      `${name}: bounds out of order`,
    );
    assert.deepEqual(
      values,
      values.toSorted((a, b) => a - b),
      `${name}: buckets shrink`,
    );
    assert.equal(bounds.at(-1), Infinity, `${name}: no bucket +Inf`);
    assert.equal(values.at(-1), count.value, `${name}: _count is not the last bucket`);
  }
}

const keyOf = (name: string, labels: Readonly<Record<string, string>>): string =>
  JSON.stringify([name, Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
