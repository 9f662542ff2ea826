/**
 * Structured logging (pino's shape): a constant message, the variable parts as fields. Fields never
 * hold a secret, a token or a private key.
 */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
