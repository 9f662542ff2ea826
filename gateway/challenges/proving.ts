import type net from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import { ClientSocket } from '../client-socket.ts';
import type { Limits } from '../limits.ts';
import { challengeContext, challengeProtocol } from './alpn-certificate.ts';
import type { Challenges } from './challenges.ts';

interface ProvingPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
}

/**
 * Shows certificate authorities the certificates of tls-alpn-01 challenges. Nothing is sent over these
 * connections. Making one costs a key and a signature, so only so many are under way at once.
 */
export class Proving {
  readonly #ports: ProvingPorts;
  readonly #challenges: Pick<Challenges, 'get'>;
  #running = 0;

  constructor(ports: ProvingPorts, challenges: Pick<Challenges, 'get'>) {
    this.#ports = ports;
    this.#challenges = challenges;
  }

  /** Calls back with undefined when no such challenge is pending, or too many are being shown. */
  context(host: string, id: string, done: (context: SecureContext | undefined) => void): void {
    const { clock, random, limits } = this.#ports;
    this.#challenges.get(id, (keyAuthorization) => {
      const may = keyAuthorization !== undefined && this.#running < limits.alpnChallengesMax;
      done(
        may
          ? challengeContext(host, keyAuthorization, { nowMs: clock.nowMs(), random })
          : undefined,
      );
    });
  }

  /** Ends the connection when the handshake is done (RFC 8737, 3). Its deadline is the caller's. */
  handshake(raw: net.Socket, secureContext: SecureContext): void {
    this.#running += 1;
    const socket = new ClientSocket(raw, { secureContext, alpn: [challengeProtocol] });
    socket.once('secure', () => {
      socket.resume();
      socket.end();
    });
    raw.on('close', () => (this.#running -= 1));
  }
}
