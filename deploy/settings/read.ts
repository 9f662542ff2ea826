import { z } from 'zod';
import type { Environment, Group, Machine } from './group.ts';
import { BadSetting } from './group.ts';
import { settingNames } from './names.ts';

type Groups = Readonly<Record<string, Group>>;

/** The choices of some groups, under the names that the groups were given. */
export type Choices<Some extends Groups> = {
  readonly [Name in keyof Some]: ReturnType<Some[Name]['read']>;
};

/**
 * Reads and checks the variables of the groups; throws `BadSetting` that names the first variable at
 * fault. Settings of other groups are left alone, so that programs can share one list; a name that
 * no group has is refused.
 */
export function readSettings<Some extends Groups>(
  groups: Some,
  environment: Environment,
  machine: Machine,
): Choices<Some> {
  refuseUnknown(environment);
  const choices = Object.entries(groups).map(([name, each]) => [
    name,
    each.read(environment, machine),
  ]);
  refuseSharedPorts(groups, environment);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each entry is its group's
  return Object.fromEntries(choices) as Choices<Some>;
}

/** A misspelt setting would be ignored in silence and surprise its user later. */
function refuseUnknown(environment: Environment): void {
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('PODGATE_') || settingNames.has(name)) continue;
    if (name.startsWith('PODGATE_TEST_')) continue;
    throw new BadSetting(`${name} is no setting of Podgate: README lists them`);
  }
}

function refuseSharedPorts(groups: Groups, environment: Environment): void {
  const users = new Map<unknown, string>();
  for (const { shape, ports } of Object.values(groups)) {
    for (const name of ports) {
      const schema = shape[name];
      const port = schema && z.parse(schema, environment[name]);
      const other = users.get(port);
      if (other) throw new BadSetting(`${name} is ${String(port)}, which ${other} uses already`);
      users.set(port, name);
    }
  }
}
