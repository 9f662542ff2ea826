/** What `<<TAPIS_user_username>>` and its kin stand for. */
export interface Credentials {
  readonly userUsername: string;
  readonly userPassword: string;
}

const pattern = /<<(?:TAPIS|tapissecret)_(\w*)>>|<TAPIS_(\w*)>/g;

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
