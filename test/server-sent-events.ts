/** An event as a client of WHATWG HTML, 9.2 gets it. */
export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
  /** The last event id there was. */
  readonly id: string;
}

/** The events of a stream that began here; one that is not whole yet is none. */
export function parseEvents(stream: string): ServerSentEvent[] {
  const events: ServerSentEvent[] = [];
  let id = '';
  const blocks = stream.split(/(?<=\n)\n/).filter((block) => block.endsWith('\n'));
  for (const block of blocks) {
    let event = 'message';
    const data: string[] = [];
    for (const line of block.slice(0, -1).split(/\r\n|\r|\n/)) {
      const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (name === 'data') data.push(value);
      if (name === 'event') event = value;
      if (name === 'id') id = value;
    }
    if (data.length > 0) events.push({ event, data: data.join('\n'), id });
  }
  return events;
}
