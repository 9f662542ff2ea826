import { connect } from './connection.ts';
import { flood } from './flood.ts';

/** Full handshakes with the pod's host, without a request. Arguments: port, seconds. Prints a `Load` as JSON. */

const [port = 0, seconds = 0] = process.argv.slice(2).map(Number);

async function served(): Promise<boolean> {
  try {
    (await connect(port)).destroy();
    return true;
  } catch {
    return false;
  }
}

await flood(served, seconds);
