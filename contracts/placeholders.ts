/** What `<<TAPIS_user_username>>` and its kin stand for. */
export interface Credentials {
  readonly userUsername: string;
  readonly userPassword: string;
}

// The documentation of the wire writes the first with single brackets.
const pattern = /<<(?:TAPIS|tapissecret)_(\w*)>>|<TAPIS_(\w*)>/g;

const placeholders = ['user_username', 'user_password'] as const;

/** Puts a pod's credentials where they are asked for; a name that does not exist becomes ''. */
export function fillPlaceholders(text: string, credentials: Credentials): string {
  const values: Readonly<Record<string, string>> = {
    user_username: credentials.userUsername,
    user_password: credentials.userPassword,
  };
  return text.replaceAll(pattern, (_match, double?: string, single?: string) => {
    const name = double ?? single ?? '';
    return Object.hasOwn(values, name) ? (values[name] ?? '') : '';
  });
}

/** The placeholders in `text` that stand for nothing, as they are written. */
export function unknownPlaceholders(text: string): string[] {
  return [...text.matchAll(pattern)]
    .filter(([, double, single]) => !placeholders.some((name) => name === (double ?? single)))
    .map(([written]) => written);
}
