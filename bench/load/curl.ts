import { pathOf } from '../machine/tools.ts';
import { podHost } from '../peers/peer.ts';
import type { Load } from './load.ts';

export const gib = 2 ** 30;

/** One transfer in HTTP/1.1 over TLS: of the file at `path`, or with `upload` of that file to it. */
export const curlArguments = (port: number, path: string, upload?: string): string[] => [
  pathOf('curl'),
  '-sSk',
  '--http1.1',
  '--output',
  '/dev/null',
  '--resolve',
  `${podHost}:${port}:127.0.0.1`,
  '--write-out',
  '%{http_code} %{size_download} %{size_upload} %{time_total}',
  ...(upload === undefined ? [] : ['--header', 'Expect:', '--upload-file', upload]),
  `https://${podHost}:${port}${path}`,
];

/** Reads what curl was told to write, in GiB. */
export function parseCurl(out: string): Load {
  const [status, down = 0, up = 0, seconds = 0] = out.trim().split(' ').map(Number);
  const units = Math.max(down, up) / gib;
  return { units, seconds, p99Ms: undefined, errors: status === 200 ? 0 : 1 };
}
