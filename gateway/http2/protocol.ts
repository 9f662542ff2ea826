/** The numbers of HTTP/2 (RFC 9113) that go over the wire. */

export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'; // 3.4

/** Section 6. */
export const frames = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goaway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const;

export const flags = {
  endStream: 0x1,
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

/** Section 7. */
export const errors = {
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  flowControl: 0x3,
  streamClosed: 0x5,
  frameSize: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compression: 0x9,
  enhanceYourCalm: 0xb,
} as const;

/** Section 6.5.2, and RFC 8441, 3. */
export const settings = {
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
  enableConnectProtocol: 0x8,
} as const;

export const frameHeadBytes = 9;
/** The largest payload: what everybody takes, and we say nothing else. */
export const framePayloadMax = 16_384;
export const initialWindowBytes = 65_535;
export const windowBytesMax = 0x7fff_ffff;

/** What ends the connection (5.4.1): the client did what no client may. */
export class ConnectionFault extends Error {
  readonly code: number;

  constructor(code: number, reason: string) {
    super(reason);
    this.code = code;
  }
}
