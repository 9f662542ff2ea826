import { debian } from './debian.ts';

/** Debian's socat, by which a pod passes connections on to a server of the test itself. */
export const socat = (): Promise<string> => debian('/usr/bin/socat', 'socat');

/** A pod that is a server of the test: every connection goes on to this loopback port. */
export const forwardPod = (podId: string, port: number, network: Record<string, unknown>) => ({
  pod_id: podId,
  image: 'podgate/process',
  command: ['/usr/bin/socat', '-t', '10'],
  arguments: [
    'TCP-LISTEN:$(PORT),bind=127.0.0.1,fork,nodelay,backlog=128',
    `TCP:127.0.0.1:${port},nodelay`,
  ],
  networking: { default: { port: 5000, ...network } },
});
