import { once } from 'node:events';
import grpc from '@grpc/grpc-js';
import type { ClientReadableStream } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone, until } from '../../integration/standalone.ts';
import { forwardPod, socat } from '../../programs/forward.ts';
import { available } from '../../programs/run.ts';

/** grpc-js as client and as server, which speaks HTTP/2 without TLS behind the gateway. */

const needed = await available('gRPC', socat);

const host = 'rpc.pods.localhost';
const same = (bytes: Buffer): Buffer => bytes;
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${path}`,
  requestStream,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});
const service = {
  unary: method('Unary', false, false),
  repeat: method('Repeat', false, true),
  count: method('Count', true, false),
  talk: method('Talk', true, true),
  fail: method('Fail', false, false),
  hang: method('Hang', false, true),
};
const Client = grpc.makeGenericClientConstructor(service, 'Echo');

/** What the server saw of calls that were given up. */
let cancelled = 0;

const implementation: grpc.UntypedServiceImplementation = {
  unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
    const metadata = new grpc.Metadata();
    metadata.set('seen', String(call.metadata.get('x-colour')[0]));
    call.sendMetadata(metadata);
    const trailer = new grpc.Metadata();
    trailer.set('trailer-bin', Buffer.from([0, 255]));
    answer(null, call.request, trailer);
  },
  repeat: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
    for (let n = 0; n < 1000; n += 1) call.write(call.request);
    call.end();
  },
  count: (call: grpc.ServerReadableStream<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
    let bytes = 0;
    call.on('data', (data: Buffer) => (bytes += data.length));
    call.on('end', () => answer(null, Buffer.from(String(bytes))));
  },
  talk: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
    call.on('data', (data: Buffer) => call.write(data));
    call.on('end', () => call.end());
  },
  fail: (_call: unknown, answer: grpc.sendUnaryData<Buffer>) => {
    const metadata = new grpc.Metadata();
    metadata.set('why', 'because');
    answer({ code: grpc.status.INVALID_ARGUMENT, details: 'no: ünlawful', metadata });
  },
  hang: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
    call.on('cancelled', () => (cancelled += 1));
    call.write(call.request);
  },
};

async function collect(stream: ClientReadableStream<Buffer>): Promise<Buffer[]> {
  const messages: Buffer[] = [];
  for await (const message of stream) messages.push(message as Buffer);
  return messages;
}

describe.skipIf(!needed)('gRPC behind the gateway', () => {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
  let podgate: Standalone;
  let client: InstanceType<typeof Client>;

  beforeAll(async () => {
    server.addService(service, implementation);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    podgate = await Standalone.start();
    await podgate.pod(forwardPod('rpc', port, { protocol: 'http', upstream_protocol: 'h2c' }));
    client = new Client(
      `127.0.0.1:${podgate.ports.https}`,
      grpc.credentials.createSsl(Buffer.from(podgate.ca)),
      {
        'grpc.ssl_target_name_override': host,
        'grpc.default_authority': host,
        'grpc.max_receive_message_length': 16 * 1024 * 1024,
      },
    );
  });
  afterAll(async () => {
    client.close();
    server.forceShutdown();
    await podgate.stopAndForget();
  });

  interface Called {
    readonly error: grpc.ServiceError | null;
    readonly value: Buffer | undefined;
    readonly metadata: grpc.Metadata | undefined;
    readonly trailer: grpc.Metadata;
  }

  function unary(name: 'unary' | 'fail', request: Buffer): Promise<Called> {
    const headers = new grpc.Metadata();
    headers.set('x-colour', 'red');
    return new Promise((resolve) => {
      let metadata: grpc.Metadata | undefined;
      const call = client.makeUnaryRequest(
        service[name].path,
        same,
        same,
        request,
        headers,
        (error, value) =>
          call.on('status', ({ metadata: trailer }) =>
            resolve({ error, value, metadata, trailer }),
          ),
      );
      call.on('metadata', (received) => (metadata = received));
    });
  }

  test('a unary call brings back metadata, message and trailers', async () => {
    const called = await unary('unary', Buffer.from('hello'));
    expect(called.error).toBeNull();
    expect(called.value?.toString()).toBe('hello');
    expect(called.metadata?.get('seen')).toEqual(['red']);
    expect(called.trailer.get('trailer-bin')).toEqual([Buffer.from([0, 255])]);
  });

  test('a message of 8 MiB goes both ways', async () => {
    const large = Buffer.alloc(8 * 1024 * 1024, 'podgate');
    const { error, value } = await unary('unary', large);
    expect(error).toBeNull();
    expect(value?.equals(large)).toBe(true);
  });

  test('the server streams a thousand messages', async () => {
    const stream = client.makeServerStreamRequest(
      service.repeat.path,
      same,
      same,
      Buffer.alloc(1000, 'x'),
    );
    const messages = await collect(stream);
    expect(messages).toHaveLength(1000);
    expect(messages.every(({ length }) => length === 1000)).toBe(true);
  });

  test('the client streams ten MiB', async () => {
    const counted = Promise.withResolvers<string>();
    const stream = client.makeClientStreamRequest(service.count.path, same, same, (error, value) =>
      error ? counted.reject(error) : counted.resolve(String(value)),
    );
    for (let n = 0; n < 160; n += 1) {
      if (!stream.write(Buffer.alloc(64 * 1024))) await once(stream, 'drain');
    }
    stream.end();
    expect(await counted.promise).toBe(String(10 * 1024 * 1024));
  });

  test('both sides talk in turns on one call', async () => {
    const stream = client.makeBidiStreamRequest(service.talk.path, same, same);
    for (const word of ['one', 'two', 'three']) {
      stream.write(Buffer.from(word));
      const [answer] = (await once(stream, 'data')) as [Buffer];
      expect(answer.toString()).toBe(word);
    }
    stream.end();
    await once(stream, 'end');
  });

  test('an error has its code, its words and its trailers', async () => {
    const { error } = await unary('fail', Buffer.alloc(0));
    expect(error?.code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(error?.details).toBe('no: ünlawful');
    expect(error?.metadata.get('why')).toEqual(['because']);
  });

  test('a call that the client gives up ends on the server too', async () => {
    const before = cancelled;
    const stream = client.makeServerStreamRequest(service.hang.path, same, same, Buffer.from('x'));
    stream.on('error', () => undefined);
    await once(stream, 'data');
    stream.cancel();
    await until(() => cancelled === before + 1);
  });

  test('a pod that is stopped is UNAVAILABLE, with the reason', async () => {
    await podgate.call('GET', '/v3/pods/rpc/stop');
    await podgate.state('rpc', 'STOPPED');
    const { error } = await unary('unary', Buffer.from('hello'));
    expect(error?.code).toBe(grpc.status.UNAVAILABLE);
    expect(error?.details).toMatch(/stopped/i);
  });
});
