/** A fatal alert (RFC 8446, 6.2) in a record of its own, for clients that get no handshake. */
const fatal = (description: number): Buffer =>
  Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, description]);

export const alerts = {
  /** Nobody has that name here (RFC 6066, 3). */
  unrecognizedName: fatal(112),
  /** The client names nobody, and names are how pods are found (RFC 8446, 9.2). */
  missingExtension: fatal(109),
  /** The hello cannot be read (RFC 8446, 6.2). */
  decodeError: fatal(50),
  accessDenied: fatal(49),
  /**
   * The pod of a passed-through connection cannot be reached now. The name is known and the hello may
   * be perfect, which rules out the alerts that blame them: this one says "unrelated to the peer".
   */
  internalError: fatal(80),
  /** Nothing that the client offered to speak is spoken for this name (RFC 7301, 3.2). */
  noApplicationProtocol: fatal(120),
  /** The pod does not do TLS at all. */
  handshakeFailure: fatal(40),
} as const;
