import { z } from 'zod';

type Sparse<Fields extends Record<string, z.ZodDefault>> = {
  [Name in keyof Fields]: z.ZodOptional<ReturnType<Fields[Name]['unwrap']>>;
};

/** The fields without their defaults, which the description still names: what is not sent is unset. */
export function sparse<Fields extends Record<string, z.ZodDefault>>(
  fields: Fields,
): Sparse<Fields> {
  const unset = Object.entries(fields).map(([name, field]) => {
    const { description } = field;
    const meta = { default: field.def.defaultValue, ...(description ? { description } : {}) };
    return [name, z.optional(field.unwrap()).meta(meta)];
  });
  // Object.fromEntries forgets which schema stands under which name.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return Object.fromEntries(unset) as Sparse<Fields>;
}
