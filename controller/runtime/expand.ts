/**
 * Expands `$(NAME)` as Kubernetes does: `$$` stands for `$`, so `$$(NAME)` stays `$(NAME)`; a name
 * that is not known stays as it is written, as does everything that is no reference.
 */
export function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(?:\$|\(([^)]*)\))/g, (reference, name: string | undefined) => {
    if (name === undefined) return '$';
    return Object.hasOwn(variables, name) ? (variables[name] ?? reference) : reference;
  });
}

/** Values may refer to variables of `base` and to those before them. */
export function expandEnvironment(
  base: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const result = { ...base };
  for (const [name, value] of Object.entries(own)) result[name] = expand(value, result);
  return result;
}
