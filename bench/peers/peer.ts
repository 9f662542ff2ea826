/** What every gateway under test is given alike. */
export interface PeerSettings {
  /** Where it listens, on 127.0.0.1, with TLS. */
  readonly port: number;
  /** The server behind it, on 127.0.0.1. */
  readonly upstreamPort: number;
  /** For a peer that wants a second port, which nobody asks. */
  readonly sparePort: number;
  /** For its files; readable by all users. */
  readonly folder: string;
  /** PEM: chain, key, and both in one file. */
  readonly chain: string;
  readonly key: string;
  readonly both: string;
  /** 'tcp': the bytes within TLS go to the upstream as they are. */
  readonly mode: 'http' | 'tcp';
  /** JSON lines, one per request. */
  readonly accessLog: boolean;
  readonly gzip: boolean;
}

/** Writes a program's configuration; returns the command line that serves by it in the foreground. */
export type Peer = (settings: PeerSettings) => Promise<readonly string[]>;

/** Offered in this order by everybody; TLS 1.3 with the first is what is negotiated. */
export const cipherSuites =
  'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** The public host of the pod behind everybody. */
export const podHost = 'a.pods.example.test';
