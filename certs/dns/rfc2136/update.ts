import { nameBytes } from './tsig.ts';

const types = { soa: 6, txt: 16 } as const;
const classes = { in: 1, none: 254 } as const;
const opcodeUpdate = 5 << 11;

/** One TXT record to add to a zone or to take away from it. */
export interface TxtChange {
  readonly zone: string;
  readonly name: string;
  readonly value: string;
  readonly kind: 'add' | 'remove';
  /** Resolvers may keep it so long. */
  readonly ttlSeconds: number;
}

/**
 * An UPDATE message (RFC 2136, 2) without signature. Written by hand: dns-packet has no classes of
 * its own for a record, and taking one away is a record of the class NONE (2.5.4).
 */
export function updateMessage(id: number, change: TxtChange): Buffer {
  const text = Buffer.from(change.value, 'latin1');
  if (text.length > 255) throw new RangeError('a string of a TXT record has at most 255 bytes');
  const adds = change.kind === 'add';
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(opcodeUpdate, 2);
  header.writeUInt16BE(1, 4); // zones
  header.writeUInt16BE(1, 8); // updates
  const fields = Buffer.alloc(10);
  fields.writeUInt16BE(types.txt, 0);
  fields.writeUInt16BE(adds ? classes.in : classes.none, 2);
  fields.writeUInt32BE(adds ? change.ttlSeconds : 0, 4);
  fields.writeUInt16BE(text.length + 1, 8);
  return Buffer.concat([
    header,
    nameBytes(change.zone),
    Buffer.from([0, types.soa, 0, classes.in]),
    nameBytes(change.name),
    fields,
    Buffer.from([text.length]),
    text,
  ]);
}
