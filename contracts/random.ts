/** Chance as an argument. */
export interface Random {
  /** `length` bytes, unpredictable to an attacker in production. */
  bytes(length: number): Buffer;
  /** A number in [0, 1), for jitter only. */
  fraction(): number;
}
