import { z } from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a default may depend on beside other settings. */
export interface Machine {
  readonly isRoot: boolean;
}

/** Settings that belong together: read from the environment, checked, and made a typed choice. */
export interface Group<Choice = unknown> {
  readonly shape: z.ZodRawShape;
  /** Variables whose value is never repeated. */
  readonly secrets: readonly string[];
  /** Variables that are ports to listen on: no two may be the same. */
  readonly ports: readonly string[];
  /** Throws `BadSetting` that names the first variable at fault. */
  read(environment: Environment, machine: Machine): Choice;
}

/** A setting that cannot be used: its name, what was given, and what would do. */
export class BadSetting extends Error {
  override readonly name = 'BadSetting';
}

interface Parts<Shape extends z.ZodRawShape, Choice> {
  /** Each variable by its name. A variable may be in two groups, as the same schema. */
  readonly shape: Shape;
  /** Variables whose value is never repeated, not even a bad one. */
  readonly secrets?: readonly (keyof Shape & string)[];
  readonly ports?: readonly (keyof Shape & string)[];
  /** Pure; throws `BadSetting` for what only several variables together show. */
  readonly choose: (values: z.output<z.ZodObject<Shape>>, machine: Machine) => Choice;
}

/** A group of its parts. */
export function group<Shape extends z.ZodRawShape, Choice>({
  shape,
  secrets = [],
  ports = [],
  choose,
}: Parts<Shape, Choice>): Group<Choice> {
  const schema = z.object(shape);
  const read = (environment: Environment, machine: Machine): Choice => {
    const parsed = schema.safeParse(environment);
    if (parsed.success) return choose(parsed.data, machine);
    const [issue] = parsed.error.issues;
    const name = String(issue?.path[0]);
    const given = secrets.includes(name) ? '' : ` (is "${environment[name] ?? ''}")`;
    throw new BadSetting(`${name} ${issue?.message ?? 'is not valid'}${given}`);
  };
  return { shape, secrets, ports, read };
}
