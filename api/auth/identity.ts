import { Refused } from '../errors.ts';
import type { ApiPorts } from '../ports.ts';
import { Clients } from './clients.ts';
import { Codes } from './codes.ts';
import { Sessions } from './sessions.ts';
import { LoginThrottle } from './throttle.ts';
import type { Tokens } from './tokens.ts';
import type { User } from './users.ts';
import { authenticate } from './users.ts';

/** Who people are, and what proves it: what the endpoints of authentication stand on. */
export interface Identity {
  readonly tenant: string;
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  readonly clients: Clients;
  readonly codes: Codes;
  /** The user with this password. Throws `Refused`: 401, or 429 after too many guesses. */
  readonly login: (username: string, password: string) => Promise<User>;
}

export function openIdentity(ports: ApiPorts, tokens: Tokens, tenant: string): Identity {
  const throttle = new LoginThrottle(ports.clock);
  return {
    tenant,
    tokens,
    sessions: new Sessions(ports, tokens, tenant),
    clients: new Clients(ports),
    codes: new Codes(ports),
    login: async (username, password) => {
      const waitSeconds = throttle.waitSeconds(username);
      if (waitSeconds > 0) throw new TooManyTries(waitSeconds);
      throttle.tried(username);
      const user = await authenticate(ports.store, { tenant, username, password });
      if (!user) throw new Refused(401, 'Invalid username/password combination.');
      throttle.succeeded(username);
      return user;
    },
  };
}

/** 429, with how long to wait. */
export class TooManyTries extends Refused {
  readonly waitSeconds: number;

  constructor(waitSeconds: number) {
    super(429, `Too many failed tries: wait ${waitSeconds} seconds.`);
    this.waitSeconds = waitSeconds;
  }
}
