import { Kvm } from '@nats-io/kv';
import { afterAll, beforeAll } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { routeBusConforms } from '../../test/conformance/route-bus.ts';
import { NatsServer, natsProgram } from '../../test/programs/nats.ts';
import { parseNatsUrl } from './address.ts';
import { NatsLink } from './link.ts';
import { NatsRouteBus } from './route-bus.ts';

let server: NatsServer;
const links: NatsLink[] = [];
const log = { debug() {}, info() {}, warn() {}, error() {} };

beforeAll(async () => {
  server = await NatsServer.start(await natsProgram());
}, 300_000);

afterAll(async () => {
  await Promise.all(links.map((link) => link.close()));
  await server.stop();
});

routeBusConforms('NatsRouteBus', async () => {
  const settings = { address: parseNatsUrl(server.url), creds: undefined, ca: undefined };
  const link = new NatsLink(
    { ...settings, replicas: 1, name: 'test' },
    { clock: systemClock, log },
  );
  links.push(link);
  const connection = await link.connected();
  await (await new Kvm(connection).create('podgate_routes')).destroy();
  return new NatsRouteBus(link, { clock: systemClock, random: systemRandom });
});
