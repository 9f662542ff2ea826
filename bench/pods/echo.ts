import net from 'node:net';
import { frames } from '../load/ping-pong.ts';

/** A pod that accepts every WebSocket and echoes its frames of one known size. Argument: its port. */

const answer = Buffer.from(
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
);

net
  .createServer({ noDelay: true }, (socket) => {
    socket.once('data', () => {
      socket.write(answer);
      let bytes = 0;
      socket.on('data', (chunk) => {
        bytes += chunk.length;
        for (; bytes >= frames.masked.length; bytes -= frames.masked.length) {
          socket.write(frames.plain);
        }
      });
    });
    socket.on('error', () => undefined);
  })
  .listen(Number(process.argv.at(-1)), '127.0.0.1', 1024);
