import { createHmac, timingSafeEqual } from 'node:crypto';

/** A key shared with the DNS server, for HMAC-SHA256. */
export interface TsigKey {
  /** As the server knows it, without a trailing dot. */
  readonly name: string;
  readonly secret: Buffer;
}

/** The answer does not prove that it is the server's. */
export class BadSignature extends Error {
  override readonly name = 'BadSignature';
  /** There is no signature at all. */
  readonly unsigned: boolean;

  constructor(words: string, unsigned = false) {
    super(words);
    this.unsigned = unsigned;
  }
}

const algorithm = 'hmac-sha256';
const fudgeSeconds = 300; // RFC 8945, 10: what clocks may differ by
const typeTsig = 250;
const classAny = 255;
const headerBytes = 12;
const additionalCountAt = 10;

/** A name on the wire: lower case, uncompressed (RFC 8945, 4.3.3). */
export function nameBytes(name: string): Buffer {
  const labels = name.toLowerCase().split('.').filter(Boolean);
  const parts = labels.map((label) => {
    const text = Buffer.from(label, 'latin1');
    if (text.length > 63) throw new RangeError(`${label}: a label has at most 63 bytes`);
    return Buffer.concat([Buffer.from([text.length]), text]);
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
}

interface Signed {
  readonly message: Buffer;
  /** Goes into the answer's signature (RFC 8945, 5.3). */
  readonly mac: Buffer;
}

/** The message with a TSIG record behind it (RFC 8945, 5.1). */
export function sign(message: Buffer, key: TsigKey, nowMs: number): Signed {
  const time = timeBytes(Math.floor(nowMs / 1000));
  const mac = createHmac('sha256', key.secret)
    .update(message)
    .update(variables(key, time, 0))
    .digest();
  const data = Buffer.concat([
    nameBytes(algorithm),
    time,
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  ]);
  const record = Buffer.concat([
    nameBytes(key.name),
    uint16(typeTsig),
    uint16(classAny),
    Buffer.alloc(4), // TTL
    uint16(data.length),
    data,
  ]);
  const signed = Buffer.concat([message, record]);
  signed.writeUInt16BE(message.readUInt16BE(additionalCountAt) + 1, additionalCountAt);
  return { message: signed, mac };
}

/**
 * Throws `BadSignature` unless the answer is signed with our key, about the request with this MAC. The
 * answers to an UPDATE hold nothing but a header, perhaps the zone, and the record at their end.
 */
export function verify(answer: Buffer, key: TsigKey, requestMac: Buffer): void {
  const record = lastRecord(answer);
  if (!record) throw new BadSignature('the answer is not signed', true);
  const owner = nameBytes(key.name);
  const { at, data } = record;
  const same = answer.subarray(at, at + owner.length).equals(owner);
  const nameLength = nameBytes(algorithm).length;
  if (!same || !data.subarray(0, nameLength).equals(nameBytes(algorithm))) {
    throw new BadSignature('the answer is signed with another key');
  }
  const time = data.subarray(nameLength, nameLength + 8);
  const macLength = data.readUInt16BE(nameLength + 8);
  const mac = data.subarray(nameLength + 10, nameLength + 10 + macLength);
  const error = data.readUInt16BE(nameLength + 10 + macLength + 2);
  const unsigned = Buffer.from(answer.subarray(0, at));
  unsigned.writeUInt16BE(answer.readUInt16BE(additionalCountAt) - 1, additionalCountAt);
  const expected = createHmac('sha256', key.secret)
    .update(uint16(requestMac.length))
    .update(requestMac)
    .update(unsigned)
    .update(variables(key, time, error))
    .digest();
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) {
    throw new BadSignature(`the server does not accept our key (TSIG error ${error})`);
  }
}

const variables = (key: TsigKey, time: Buffer, error: number): Buffer =>
  Buffer.concat([
    nameBytes(key.name),
    uint16(classAny),
    Buffer.alloc(4), // TTL
    nameBytes(algorithm),
    time,
    uint16(error),
    uint16(0), // other data
  ]);

/** Where the TSIG record begins, and its data. Undefined when there is none. */
function lastRecord(answer: Buffer): { at: number; data: Buffer } | undefined {
  if (answer.length < headerBytes || answer.readUInt16BE(additionalCountAt) === 0) return undefined;
  let at = headerBytes;
  const questions = answer.readUInt16BE(4);
  for (let number = 0; number < questions; number += 1) at = afterName(answer, at) + 4;
  const records = [6, 8, 10].reduce((sum, count) => sum + answer.readUInt16BE(count), 0);
  for (let number = 0; number < records; number += 1) {
    const fields = afterName(answer, at);
    const end = fields + 10 + answer.readUInt16BE(fields + 8);
    if (number === records - 1) {
      const isTsig = answer.readUInt16BE(fields) === typeTsig && end <= answer.length;
      return isTsig ? { at, data: answer.subarray(fields + 10, end) } : undefined;
    }
    at = end;
  }
  return undefined;
}

function afterName(message: Buffer, from: number): number {
  let at = from;
  while (message.readUInt8(at) !== 0) {
    if (message.readUInt8(at) >= 0xc0) return at + 2;
    at += message.readUInt8(at) + 1;
  }
  return at + 1;
}

const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);

/** When it was signed, and by how much clocks may differ. */
function timeBytes(seconds: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUIntBE(seconds, 0, 6);
  bytes.writeUInt16BE(fudgeSeconds, 6);
  return bytes;
}
