import type { Life } from './life.ts';
import { Mailbox } from './mailbox.ts';
import type { Network, Service } from './network.ts';

/** Between one life of a program and a service. */
export interface Link {
  readonly life: Life;
  readonly network: Network;
  readonly service: Service;
}

interface Subscription<Item> {
  /** At the service, which notices when the program is gone. */
  readonly source: (ended: AbortSignal) => AsyncIterable<Item>;
  /** What the reader gets thrown when the connection breaks. */
  readonly failure: () => Error;
}

/** What a service tells, message by message over the network: they may be lost, late or repeated. */
export function subscribed<Item>(
  { source, failure }: Subscription<Item>,
  { life, network, service }: Link,
  signal: AbortSignal,
): AsyncIterable<Item> {
  const mailbox = new Mailbox<Item>();
  const ended = new AbortController();
  const leave = (): void => ended.abort();
  const end = (): void => mailbox.end();
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  life.onEnd(leave);
  const unlisten = network.onBreak(life, service, () => {
    leave();
    life.enter(() => mailbox.end(failure()));
  });
  const relay = async (): Promise<void> => {
    for await (const item of source(ended.signal))
      network.send(life, service, () => life.enter(() => mailbox.put(item)));
    network.send(life, service, () => life.enter(end));
  };
  void relay();
  return mailbox.read(() => {
    leave();
    unlisten();
    signal.removeEventListener('abort', end);
  });
}
