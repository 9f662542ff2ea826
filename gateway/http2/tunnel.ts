import type { ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type net from 'node:net';

const keepAliveProbeMs = 60_000;

/** Joins a stream and a pod's socket (with `allowHalfOpen`): an end is an end, a reset a reset. */
export function tunnelStream(stream: ServerHttp2Stream, pod: net.Socket): void {
  pod.setKeepAlive(true, keepAliveProbeMs);
  pod.on('error', () => undefined);
  stream.pipe(pod);
  pod.pipe(stream);
  pod.on('close', (failed) => {
    // RFC 8441, 5.1: the death of the TCP connection is told by CANCEL.
    if (failed) stream.close(constants.NGHTTP2_CANCEL);
    else stream.end();
  });
  stream.on('close', () => {
    if (stream.rstCode === constants.NGHTTP2_NO_ERROR) pod.destroySoon();
    else pod.destroy();
  });
  pod.resume();
}
