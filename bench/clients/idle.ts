import { ask, connect } from './connection.ts';

/**
 * Connections that make one request each and are then kept. Arguments: port, how many. Tells its
 * starter when all are open, and closes them when it is ended.
 */

const atOnce = 32;
const [port = 0, count = 0] = process.argv.slice(2).map(Number);

let opened = 0;
async function open(): Promise<void> {
  while (opened < count) {
    opened += 1;
    const socket = await connect(port);
    await ask(socket);
    // A connection that ends here would be missing in what is measured.
    socket.on('close', () => process.exit(1));
  }
}

await Promise.all(Array.from({ length: atOnce }, open));
process.send?.('open');
