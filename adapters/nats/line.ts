import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { createInbox } from '@nats-io/transport-node';

/** A connection that may not have been made yet; once made it is the same for ever. */
export interface Line {
  /** Undefined until it was made; later also while it is lost. */
  readonly connection: NatsConnection | undefined;
  /** What subjects for answers begin with: `_INBOX`, which is the default, or one below. */
  readonly inboxPrefix?: string | undefined;
  /** Resolves with the first connection. Rejects when it was given up before. */
  connected(): Promise<NatsConnection>;
}

/** A new subject for answers. */
export const newInbox = ({ inboxPrefix }: Line): string => createInbox(inboxPrefix);

/** The same for answers to what all are asked: apart, so that who answers needs no right to any other. */
export const newAnswersInbox = ({ inboxPrefix = '_INBOX' }: Line): string =>
  createInbox(`${inboxPrefix}.answers`);

/**
 * Whether a subject is one for answers. Who answers on any other lends the one who asks his own rights: a
 * controller may write routes.
 */
export const isInbox = (subject: string): boolean => subject.startsWith('_INBOX.');

/** The connection, when something can be said on it, perhaps later. */
export function usable({ connection }: Line): NatsConnection | undefined {
  return connection && !connection.isClosed() ? connection : undefined;
}

/**
 * Starts something at once when there is a connection, else as soon as there is. The returned function
 * ends it, or lets it never begin; twice is fine.
 */
export function onceConnected(
  line: Line,
  start: (connection: NatsConnection) => () => void,
): () => void {
  let end: (() => void) | undefined;
  let ended = false;
  const begin = (connection: NatsConnection): void => {
    if (!ended && !connection.isClosed()) end = start(connection);
  };
  if (line.connection) begin(line.connection);
  else line.connected().then(begin, () => undefined);
  return () => {
    ended = true;
    end?.();
    end = undefined;
  };
}

/** On a closed connection, which has forgotten it, that would throw. */
export function unsubscribed(connection: NatsConnection, subscription: Subscription): void {
  if (!connection.isClosed()) subscription.unsubscribe();
}
