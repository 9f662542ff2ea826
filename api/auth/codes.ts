import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { Store } from '#contracts/store.ts';
import { collection } from '#contracts/store.ts';
import { Refused } from '../errors.ts';

/** Authorization codes (RFC 6749, 4.1.2): good once, for a minute, for one client. */

const codeMs = 60_000;
// How long a code that was used is known as such: a second use ends what came of the first.
const memoryMs = 3_600_000;

const zCode = z.strictObject({
  tenant: z.string(),
  username: z.string(),
  clientId: z.string(),
  redirectUri: z.string(),
  /** S256 (RFC 7636, 4.2). */
  challenge: z.string().nullable(),
  expiresAtMs: z.number(),
  used: z.boolean(),
  /** What came of it. */
  session: z.string().nullable(),
});
type Code = z.infer<typeof zCode>;

const codes = (store: Store) => collection(store, 'authorization-codes', zCode);

// The store is no place to find codes in.
const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

interface CodePorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}

interface Redemption {
  /** Others may have a client of the same id. */
  readonly tenant: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly verifier: string | undefined;
}

export class Codes {
  readonly #ports: CodePorts;

  constructor(ports: CodePorts) {
    this.#ports = ports;
  }

  async issue(grant: Omit<Code, 'expiresAtMs' | 'used' | 'session'>): Promise<string> {
    const { store, clock, random } = this.#ports;
    const code = random.bytes(32).toString('base64url');
    const expiresAtMs = clock.nowMs() + codeMs;
    const entry = { ...grant, expiresAtMs, used: false, session: null };
    await codes(store).put(hashOf(code), entry, 'absent');
    return code;
  }

  /**
   * Spends the code: calls `open` for its user and returns what that gives. A code that comes again
   * ends the session of its first use by `end` (RFC 6749, 4.1.2). Throws `Refused`.
   */
  async redeem<Opened extends { readonly session: string }>(
    code: string,
    redemption: Redemption,
    sessions: {
      readonly open: (username: string) => Promise<Opened>;
      readonly end: (session: string) => Promise<void>;
    },
  ): Promise<Opened> {
    const { store, clock } = this.#ports;
    const id = hashOf(code);
    const stored = await codes(store).get(id);
    if (!stored) throw invalidCode();
    const { value, version } = stored;
    const isOfClient = value.tenant === redemption.tenant && value.clientId === redemption.clientId;
    if (!isOfClient) throw invalidCode();
    if (value.used) {
      if (value.session !== null) await sessions.end(value.session);
      throw invalidCode();
    }
    const late = value.expiresAtMs <= clock.nowMs();
    if (late || value.redirectUri !== redemption.redirectUri || !proves(value, redemption))
      throw invalidCode();
    const remembered = { ...value, used: true, expiresAtMs: clock.nowMs() + memoryMs };
    // First, with its version: of two at a time one conflicts.
    const next = await codes(store).put(id, remembered, { version });
    const opened = await sessions.open(value.username);
    await codes(store).put(id, { ...remembered, session: opened.session }, { version: next });
    return opened;
  }

  /** Forgets what has expired. */
  async sweep(): Promise<void> {
    const { store, clock } = this.#ports;
    const { documents } = await codes(store).list();
    for (const { id, value } of documents)
      if (value.expiresAtMs <= clock.nowMs()) await codes(store).remove(id, 'anything');
  }
}

/** A verifier without a challenge is a challenge that was taken out on the way (RFC 9700, 4.8.2). */
function proves({ challenge }: Code, { verifier }: Redemption): boolean {
  if (challenge === null || verifier === undefined) return challenge === null && !verifier;
  const given = Buffer.from(hashOf(verifier));
  const wanted = Buffer.from(challenge);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

const invalidCode = (): Refused =>
  new Refused(
    400,
    'Invalid authorization code: it is unknown, expired, used before or for another.',
  );
