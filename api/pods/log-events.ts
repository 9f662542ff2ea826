import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';
import { Invalid } from '../errors.ts';

/** Output as server-sent events (WHATWG HTML, 9.2). */

/** What an event's id names a place in: the output of one pod, not of a later one of the same name. */
interface Pod {
  readonly createdAtMs: number;
}

const idOf = ({ createdAtMs }: Pod, cursor: string): string =>
  `${createdAtMs.toString(36)}-${cursor}`;

/**
 * Where to begin: after the event that a client has had last (`Last-Event-ID`), else with the
 * window. Throws `Invalid` for what is no id of ours.
 */
export function placeOf(lastEventId: string | undefined, window: LogWindow, pod: Pod): LogStart {
  if (!lastEventId) return window;
  const found = /^([\da-z]{1,12})-([\u0021-\u007e]{1,200})$/.exec(lastEventId);
  const [, made, after] = found ?? [];
  if (made === undefined || after === undefined) {
    throw new Invalid(['header, last-event-id: is not the id of an event of logs, leave it out']);
  }
  return made === pod.createdAtMs.toString(36) ? { after } : window;
}

/** Sent at once, so that the answer begins; clients come back this many milliseconds after it broke. */
export const opening = 'retry: 1000\n\n';

/** Keeps what lies in between from taking the connection for dead. */
export const keepAlive = ':\n\n';

/** There is nothing to come back for, and why. */
export const ending = (reason: 'deleted' | 'refused'): string => `event: end\ndata: ${reason}\n\n`;

const dropped = 'event: gap\ndata: Output in between is no longer kept.\n\n';

/** The events of one answer, whose data put together is the output. */
export class LogEvents {
  readonly #pod: Pod;
  #returned = false;

  constructor(pod: Pod) {
    this.#pod = pod;
  }

  /** A carriage return arrives as the end of a line, as the format has no other way to say it. */
  encode({ text, cursor, gap }: LogPiece): string {
    // The second half of a line end whose first half was sent.
    const rest = this.#returned && text.startsWith('\n') ? text.slice(1) : text;
    this.#returned = text.endsWith('\r');
    const data = rest === '' ? '' : `data: ${rest.split(/\r\n|\r|\n/).join('\ndata: ')}\n`;
    return `${gap ? dropped : ''}id: ${idOf(this.#pod, cursor)}\n${data}\n`;
  }
}
