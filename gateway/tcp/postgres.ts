/** The few messages of the Postgres protocol (version 3) that the gateway itself reads or writes. */

const sslRequestCode = 80_877_103;
const gssEncRequestCode = 80_877_104;
const cancelRequestCode = 80_877_102;

export const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** Requests before TLS are eight bytes: their length and a code. */
export const encryptionRequestBytes = 8;

/**
 * A CancelRequest: length, code, the process id and the secret of the session to cancel in. Secrets
 * have 4 bytes in protocol 3.0 and up to 256 since 3.2. Its length, or undefined for what is none.
 */
export function cancelRequestBytes(bytes: Buffer): number | undefined {
  const length = bytes.readInt32BE(0);
  if (bytes.readInt32BE(4) !== cancelRequestCode || length < 16 || length > 268) return undefined;
  return length;
}

/** Of a whole CancelRequest: process id and secret in hex. */
export const cancelKey = (request: Buffer): string => request.toString('hex', 8);

export function encryptionRequest(bytes: Buffer): 'ssl' | 'gss' | 'other' {
  if (bytes.readInt32BE(0) !== encryptionRequestBytes) return 'other';
  const code = bytes.readInt32BE(4);
  return code === sslRequestCode ? 'ssl' : code === gssEncRequestCode ? 'gss' : 'other';
}

/** An ErrorResponse of severity FATAL; drivers show `message` to their user. */
export function errorResponse(sqlState: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`, 'utf8');
  const head = Buffer.alloc(5);
  head.write('E', 'latin1');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

/** Why a client gets no database. */
export interface PostgresRefusal {
  readonly sqlState: string;
  /** Drivers show it to their user. */
  readonly message: string;
}

export const sqlStates = {
  cannotConnectNow: '57P03',
  notAuthorized: '28000',
  connectionFailure: '08006',
  rejected: '08004',
} as const;
