import { z } from 'zod';

/**
 * Names that people can have here, whoever vouches for them: nothing that permissions mean something
 * else by (`*`, `**`, `tenant.<id>`), and nothing that needs escaping in a path.
 */
export const zUsername = z
  .string()
  .regex(/^(?!tenant\.)[\w.@+-]{1,128}$/, 'must have 1 to 128 letters, digits and . _ @ + -');

export const zAccountType = z.enum(['user', 'service']);
export type AccountType = z.infer<typeof zAccountType>;
