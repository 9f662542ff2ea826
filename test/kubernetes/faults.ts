import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { StatusError } from './status.ts';

/** What an API server does on a bad day, until it is told otherwise. */
export class Faults {
  /** So many requests are refused with 429, and told to come back after so many seconds. */
  tooMany = { count: 0, retryAfterSeconds: 0 };
  /** So many requests end with this code. */
  broken = { count: 0, code: 503 };
  /** So many requests lose their connection. */
  cut = 0;
  /** So many pages of lists beyond the first have expired when they are asked for. */
  expiredPages = 0;
  /** Watches say nothing, not even bookmarks. */
  silentWatch = false;
  /** How often a watch is told how far it is. */
  bookmarkMs = 1_000;
  readonly events = new EventEmitter().setMaxListeners(0);

  /** Ends every watch there is, without a word. */
  cutWatches(): void {
    this.events.emit('cut');
  }

  apply(response: ServerResponse): void {
    if (this.tooMany.count > 0) {
      this.tooMany.count -= 1;
      const { retryAfterSeconds } = this.tooMany;
      throw new StatusError(429, 'TooManyRequests', 'please try again later', retryAfterSeconds);
    }
    if (this.broken.count > 0) {
      this.broken.count -= 1;
      throw new StatusError(this.broken.code, 'InternalError', 'etcdserver: leader changed');
    }
    if (this.cut > 0) {
      this.cut -= 1;
      response.socket?.destroy();
      throw new Error('cut');
    }
  }
}
