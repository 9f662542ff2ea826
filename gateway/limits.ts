import assert from 'node:assert/strict';

/** Every bound of the gateway, its unit in its name, its reason beside it. */
export const limits = {
  /** Accepting: each phase has a clock of its own, so that a slow client holds little for little time. */
  proxyHeaderMs: 5_000, // a balancer sends it at once
  proxyHeaderBytesMax: 4_096, // with the TLS details that some balancers add; version 1 has 107
  firstByteMs: 5_000, // a client that connects has something to say
  clientHelloMs: 5_000, // one flight; several segments at most
  clientHelloBytesMax: 64 * 1024, // post-quantum key shares need 2 KB; RFC 8446 allows 16 MB
  handshakeMs: 10_000, // two more flights over a slow mobile link
  connectionsPerWorkerMax: 20_000, // about 70 KB each: 1.4 GB

  /** One client's connections, per worker; beyond them they are reset before TLS. */
  addressConnectionsMax: 10_000, // half of a worker's; carriers and campuses have thousands of users behind one address
  addressBurst: 2_000, // an office that comes back after its network was down
  addressConnectionsPerSecond: 200, // a sixth of the handshakes that a core can do
  addressesRememberedMax: 50_000, // of those with nothing open; about 150 bytes each

  /** HTTP/1.1 heads. */
  headBytesMax: 32 * 1024, // as large cookies and tokens make them; larger ones are attacks
  headersMax: 128,
  rememberedHeadBytesMax: 4 * 1024, // of a connection's last head, which stays in memory while it is idle
  targetBytesMax: 16 * 1024,
  chunkLineBytesMax: 16, // a size in hex; extensions are refused
  trailerBytesMax: 8 * 1024,
  informationalMax: 16, // 1xx responses before the real one

  /** HTTP/1.1 in time. Bodies are judged by progress, not by a total: large uploads are legitimate. */
  headMs: 10_000,
  keepAliveMs: 65_000, // longer than the 60 s of load balancers in front, so that they close first
  bodyIdleMs: 60_000,
  bodyBytesPerIdleMin: 30 * 1024, // of a request in that time: 512 B/s, a tenth of an old modem
  responseHeadMs: 300_000, // long polls; beyond it the pod is taken for stuck
  responseIdleMs: 3_600_000, // server-sent events may be silent for long
  pipelinedBytesMax: 64 * 1024, // what may wait behind the request under way

  /** Upstream. */
  upstreamConnectMs: 2_000, // the address is next door
  upstreamIdleMs: 4_000, // below Node's default keep-alive of 5 s, the shortest in common use
  upstreamIdlePerRouteMax: 256, // fewer than clients at once, and a busy pod is dialled anew each turn
  upstreamIdleTotalMax: 1_024,

  /** HTTP/2, towards clients and pods. The floods bounded here are those of CVE-2019-9511 and later. */
  h2StreamsMax: 100, // at once per connection: what browsers and gRPC clients expect (RFC 9113, 6.5.2)
  h2StreamWindowBytes: 256 * 1024, // one upload over 20 ms of way at 100 Mbit/s
  h2SessionWindowBytes: 1024 * 1024,
  h2HeldBytesMax: 4 * 1024 * 1024, // of uploads to slow pods; beyond it the session's window stays shut
  h2UnreadBytesMax: 256 * 1024, // of answers that a client does not read; beyond it we read no more of it either
  h2BlockBytesMax: 64 * 1024, // a header block as it is sent; one that is only too long is still answered
  h2BlockFramesMax: 16, // that it comes in; CONTINUATION frames cost nothing to send (CVE-2024-27316)
  h2StreamsKeptMax: 16, // per connection, to be used again: 3 KB each
  h2ForsakenMax: 1_000, // streams we ended before their client did, which may not know it yet
  h2ResetsBurst: 500, // streams a client gives up or makes us give up; Rapid Reset does so thousands of times a second
  h2ResetsPerSecond: 100, // as many as honest clients of streaming APIs were seen to
  h2ControlFramesBurst: 100, // PING and SETTINGS, which cost us an answer each
  h2ControlFramesPerSecond: 10,
  h2IdleFramesBurst: 1_000, // PRIORITY, empty DATA and what nobody knows: they do nothing
  h2IdleFramesPerSecond: 100,
  h2cSessionMegabytesMax: 256, // all clients of a pod share the connection
  h2cTriesMax: 4, // of a request that the pod says it has not begun, as on GOAWAY
  h2cIdleMs: 60_000, // what load balancers keep

  /** WebSocket. */
  closeHandshakeMs: 2_000, // a client answers a close frame at once (RFC 6455, 5.5.1)

  /** Compression. */
  codersMax: 128, // at once per worker, about 1 MB each; beyond it answers go out as they are

  /** Postgres. */
  cancelMs: 5_000, // for finding the pod, and for the pod to take a CancelRequest in
  cancelsPerSecondMax: 500, // per worker: each is a few messages to all workers
  cancelsPerSecondPerAddressMax: 50, // a pool of connections whose queries time out at once

  /** Certificates. */
  certificateWaitMs: 250, // the first handshake of a cold host may wait this long, then the wildcard
  contextsMax: 5_000, // unless the operator has set another number; 45 KB each: 225 MB
  contextBuildsPerSecondMax: 200, // 340 µs each: 7 % of a core at most for a flood of names

  /** Challenges of certificate authorities. Names of strangers reach the store, so little of it is theirs. */
  challengesMax: 20_000, // remembered; about 400 bytes each, and a gateway sees those of minutes
  challengeWaitMs: 500, // for one that is not known here yet: authorities wait ten times as long
  challengesAskedMax: 64, // at once per worker
  challengeReadsPerSecondMax: 20, // of the store, by all workers together
  alpnChallengeMs: 2_000, // the whole handshake
  alpnChallengesMax: 64, // handshakes at once per worker; each makes a key and signs

  /** Stopping. */
  drainLingerMs: 500, // an idle connection may have a request on its way to us
  faultLeaveMs: 3_000, // a worker that met a fault serves on so long: starting another costs 0.3 s of CPU
  faultsToldMax: 20, // of one worker's, to the log
  replacementMs: 5_000, // how long a worker that shall end waits for its replacement
  drainMs: 2_000, // what is idle ends at once; what is under way gets this long
} as const;

export type Limits = { readonly [name in keyof typeof limits]: number };

assert(limits.targetBytesMax < limits.headBytesMax);
// A head that is not whole yet must not stop the reading of its rest.
assert(limits.headBytesMax < limits.pipelinedBytesMax);
assert(limits.upstreamConnectMs < limits.responseHeadMs);
