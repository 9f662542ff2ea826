import type { Definition, Layer } from '#contracts/pod.ts';

/**
 * Lays what a user said of a pod over its chain of templates. Leaf by leaf the closest that says
 * something wins: the pod, then its template, then the template of that, then the default. So a
 * pod that changes the port of a network keeps the policies that the template gave it.
 */

/** Who set each leaf, by path (`networking.web.port`): `pod`, the name of a template, or `default`. */
export type Provenance = Readonly<Record<string, string>>;

export interface Merged {
  readonly definition: Definition;
  readonly provenance: Provenance;
}

/** With this variable set to `False` a pod takes no variables from its templates. */
const environmentSwitch = '_TAPIS_INTERNAL_USE_TEMPLATE_ENVS';

/** `layers` are the templates, closest first. Pure; the order of keys follows the layers'. */
export function merge(own: Definition, layers: readonly Layer[]): Merged {
  const all = [{ ref: 'pod', definition: own }, ...layers];
  const provenance: Record<string, string> = {};
  const closest = <Value>(
    path: string,
    read: (definition: Definition) => Value | undefined,
  ): Value | undefined => {
    const layer = all.find(({ definition }) => read(definition) !== undefined);
    if (layer) provenance[path] = layer.ref;
    return layer && read(layer.definition);
  };
  const keyed = <Value>(
    field: string,
    read: (definition: Definition) => Readonly<Record<string, Value>> | undefined,
  ): Record<string, Value> =>
    Object.fromEntries(
      keysOf(all.map(({ definition }) => read(definition))).flatMap((key) => {
        const value = closest(`${field}.${key}`, (definition) => at(read(definition), key));
        return value === undefined ? [] : [[key, value]];
      }),
    );

  const networks = keysOf(all.map(({ definition }) => definition.networking));
  const networking = Object.fromEntries(
    (networks.length > 0 ? networks : ['default']).map((name) => [
      name,
      keyed(`networking.${name}`, (definition) => at(definition.networking, name)),
    ]),
  );
  const definition: Definition = {
    image: closest('image', ({ image }) => image),
    description: closest('description', ({ description }) => description),
    command: closest('command', ({ command }) => command),
    arguments: closest('arguments', (each) => each.arguments),
    compute_queue: closest('compute_queue', (each) => each.compute_queue),
    time_to_stop_default: closest('time_to_stop_default', (each) => each.time_to_stop_default),
    time_to_stop_instance: closest('time_to_stop_instance', (each) => each.time_to_stop_instance),
    environment_variables: keyed('environment_variables', (each) =>
      each === own || takesVariables(own) ? each.environment_variables : undefined,
    ),
    resources: keyed('resources', ({ resources }) => resources),
    networking,
  };
  return { definition, provenance };
}

const takesVariables = ({ environment_variables: variables }: Definition): boolean =>
  variables?.[environmentSwitch] !== 'False';

const at = <Value>(map: Readonly<Record<string, Value>> | undefined, key: string) =>
  map && Object.hasOwn(map, key) ? map[key] : undefined;

const keysOf = (maps: readonly (object | undefined)[]): string[] => [
  ...new Set(maps.flatMap((map) => Object.keys(map ?? {}))),
];

/** Every leaf of `values` with the one who set it; what nobody set is a default. */
export function attribute(values: object, provenance: Provenance): Provenance {
  const paths = Object.entries(values).flatMap(([field, value]) => leafPaths(field, value));
  return Object.fromEntries(paths.map((path) => [path, provenance[path] ?? 'default']));
}

const depths: Readonly<Record<string, number>> = {
  environment_variables: 1,
  resources: 1,
  networking: 2,
};

function leafPaths(path: string, value: unknown, depth = depths[path] ?? 0): string[] {
  if (depth === 0 || typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, each]) =>
    leafPaths(`${path}.${key}`, each, depth - 1),
  );
}

/** Without what is null or undefined: nothing was said of it. */
export function said(definition: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(definition)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([key, value]) => [key, key in depths ? saidBelow(value, depths[key] ?? 0) : value]),
  );
}

function saidBelow(value: unknown, depth: number): unknown {
  if (depth === 0 || typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== null && each !== undefined)
      .map(([key, each]) => [key, saidBelow(each, depth - 1)]),
  );
}
