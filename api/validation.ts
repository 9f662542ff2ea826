import { z } from 'zod';
import { Invalid } from './errors.ts';

/** One text per problem: `<where>, <path>: <what is wrong>`, as clients of the wire parse it. */
function texts(where: string, error: z.ZodError): string[] {
  return error.issues.flatMap((issue) => {
    const path = [where, ...issue.path.map(String)].join(', ');
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => `${path}, ${key}: Unknown field, remove it`);
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map(({ message }) => `${path}: ${message}`);
    }
    const missing = issue.code === 'invalid_type' && issue.input === undefined;
    return [`${path}: ${missing ? 'Field required' : issue.message}`];
  });
}

/** The parsed value, or `Invalid` with every problem. */
export function parse<T>(schema: z.ZodType<T>, where: string, value: unknown): T {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw new Invalid(texts(where, parsed.error));
}

/** Yes or no in a query string, also as Python writes it (`True`). */
export const zFlag = z
  .stringbool('must be true or false')
  .meta({ type: 'boolean', examples: [true] });
