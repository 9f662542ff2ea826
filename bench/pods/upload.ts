import net from 'node:net';

/** A pod that takes a request's body in and then answers with its length. Argument: its port. */

const endOfHead = Buffer.from('\r\n\r\n');

net
  .createServer({ noDelay: true }, (socket) => {
    let head = Buffer.alloc(0);
    let left = 0;
    let length = 0;
    const begin = (): void => {
      const end = head.indexOf(endOfHead);
      if (end < 0) return;
      length = Number(
        /\r\ncontent-length: *(\d+)/i.exec(head.toString('latin1', 0, end))?.[1] ?? 0,
      );
      left = length - (head.length - end - endOfHead.length);
      head = Buffer.alloc(0);
      answer();
    };
    const answer = (): void => {
      if (left > 0) return;
      const body = String(length);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      length = 0;
    };
    socket.on('data', (bytes: Buffer) => {
      if (left > 0) {
        left -= bytes.length;
        answer();
        return;
      }
      head = Buffer.concat([head, bytes]);
      begin();
    });
    socket.on('error', () => undefined);
  })
  .listen(Number(process.argv.at(-1)), '127.0.0.1');
