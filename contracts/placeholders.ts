/** What `<<TAPIS_user_username>>` and its kin stand for. */
export interface Own {
  readonly userUsername: string;
  readonly userPassword: string;
  /** Where the network `default` is reached. Not of the wire: servers have to be told their address. */
  readonly podHost: string;
}

// The documentation of the wire writes the first with single brackets.
const pattern = /<<(?:TAPIS|tapissecret)_(\w*)>>|<TAPIS_(\w*)>/g;

const placeholders = ['user_username', 'user_password', 'pod_host'] as const;

/** Puts what is the pod's own where it is asked for; a name that does not exist becomes ''. */
export function fillPlaceholders(text: string, own: Own): string {
  const values: Readonly<Record<string, string>> = {
    user_username: own.userUsername,
    user_password: own.userPassword,
    pod_host: own.podHost,
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
