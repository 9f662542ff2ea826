import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { alerts } from '../../gateway/alerts.ts';
import { pages } from '../../gateway/pages/pages.ts';
import { renderPage } from '../../gateway/pages/render.ts';
import { errorResponse } from '../../gateway/tcp/postgres.ts';

/** What a client sends in one go, and what comes of it. */
export interface Step {
  readonly send: Buffer;
  /** All that comes back before the next step; `flight`: the beginning of our TLS. */
  readonly back: Buffer | 'flight';
  /** The gateway ends the connection behind that. */
  readonly ends?: boolean;
}

const nothing = Buffer.alloc(0);
const ended = (send: Buffer): Step => ({ send, back: 'flight' });
const silent = (hex: string): Step => ({
  send: Buffer.from(hex, 'hex'),
  back: nothing,
  ends: true,
});
const unreadable = (send: string): Step => ({
  send: Buffer.from(send, 'hex'),
  back: alerts.decodeError,
  ends: true,
});
const ssl: Step = { send: Buffer.from('0000000804d2162f', 'hex'), back: Buffer.from('S') };
const gss: Step = { send: Buffer.from('0000000804d21630', 'hex'), back: Buffer.from('N') };

/** What the pod that gets hellos passed on sends back when it has got exactly these bytes. */
export const digest = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
const passed = (send: Buffer): Step => ({ send, back: digest(send) });

/**
 * All beginnings of a connection. TLS is ended for pod `a` and the database `db`; pod `p` gets it
 * passed on.
 */
export async function beginnings(): Promise<readonly (readonly [string, readonly Step[]])[]> {
  const hello = (pod: string): Promise<Buffer> => clientHello(`${pod}.pods.example.test`);
  const [pass, end, database] = [await hello('p'), await hello('a'), await hello('db')];
  const stranger = await clientHello('a.evil.test');
  const clear = 'connections are encrypted here: use sslmode=require or stricter';
  const refused = pages.refused(400, 'this port speaks TLS: use https');
  const page = renderPage(refused, undefined, false);
  const http = Buffer.from('GET / HTTP/1.1\r\nHost: a.pods.example.test\r\n\r\n');
  const startup = Buffer.from('0000000900030000ff', 'hex');
  return [
    ['a ClientHello, passed on', [passed(pass)]],
    ['a ClientHello, ended here', [ended(end)]],
    ['a ClientHello of 16 KiB, passed on', [passed(padded(pass, 16_384))]],
    ['a ClientHello of 16 KiB, ended here', [ended(padded(end, 16_384))]],
    ['a ClientHello of 40 KiB in three records', [passed(padded(pass, 40_960))]],
    ['a ClientHello in records of 7 bytes, passed on', [passed(inRecords(pass, 7))]],
    ['a ClientHello in records of 7 bytes, ended here', [ended(inRecords(end, 7))]],
    ['a ClientHello in records of 1 byte', [passed(inRecords(pass, 1))]],
    ['a ClientHello for nobody', [{ send: stranger, back: alerts.unrecognizedName, ends: true }]],
    ['SSLRequest', [ssl, ended(database)]],
    ['GSSENCRequest and SSLRequest', [gss, ssl, ended(database)]],
    ['GSSENCRequest and TLS', [gss, ended(database)]],
    ['GSSENCRequest twice', [gss, { ...gss, back: nothing, ends: true }]],
    [
      'a Postgres session in the clear',
      [{ send: startup, back: errorResponse('08004', clear), ends: true }],
    ],
    ['HTTP', [{ send: http, back: page, ends: true }]],
    ['noise', [silent('fe01020380ff00ff1603010200')]],
    ['noise that begins like TLS', [unreadable('16fe010200010001fc0303')]],
    ['another message in a TLS record', [unreadable('160301000502000001aa')]],
  ];
}

const recordHeaderBytes = 5;
const paddingExtension = 21; // RFC 7685

/** The ClientHello that this Node sends, as one record; it holds a post-quantum key share. */
async function clientHello(servername: string): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const client = tls.connect({ host: '127.0.0.1', port, servername, ALPNProtocols: ['http/1.1'] });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  let hello = Buffer.alloc(0);
  while (hello.length < recordHeaderBytes || hello.length < recordHeaderBytes + lengthOf(hello)) {
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    hello = Buffer.concat([hello, bytes]);
  }
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

const lengthOf = (header: Buffer): number => header.readUInt16BE(3);

function record(content: Buffer): Buffer {
  const header = Buffer.from([0x16, 3, 1, 0, 0]);
  header.writeUInt16BE(content.length, 3);
  return Buffer.concat([header, content]);
}

/** The same message in records of so many bytes. */
function inRecords(hello: Buffer, bytes: number): Buffer {
  const message = hello.subarray(recordHeaderBytes);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += bytes) {
    records.push(record(message.subarray(at, at + bytes)));
  }
  return Buffer.concat(records);
}

/** The same with padding, so that its message has so many bytes, in as few records as may be. */
function padded(hello: Buffer, bytes: number): Buffer {
  const message = hello.subarray(recordHeaderBytes);
  const padding = Buffer.alloc(bytes - message.length);
  padding.writeUInt16BE(paddingExtension, 0);
  padding.writeUInt16BE(padding.length - 4, 2);
  const longer = Buffer.concat([message, padding]);
  longer.writeUIntBE(bytes - 4, 1, 3);
  const at = extensionsAt(message);
  longer.writeUInt16BE(message.readUInt16BE(at) + padding.length, at);
  return inRecords(Buffer.concat([Buffer.alloc(recordHeaderBytes), longer]), 16_384);
}

/** Where the length of the extensions stands (RFC 8446, 4.1.2). */
function extensionsAt(message: Buffer): number {
  let at = 4 + 2 + 32;
  at += 1 + message.readUInt8(at);
  at += 2 + message.readUInt16BE(at);
  return at + 1 + message.readUInt8(at);
}
