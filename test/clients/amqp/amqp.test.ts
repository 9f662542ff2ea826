import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { debian } from '../../programs/debian.ts';
import { withHosts } from '../../programs/hosts.ts';
import { available } from '../../programs/run.ts';
import { driver, pythonDrivers } from '../drivers.ts';

const host = 'queue.pods.localhost';
const needed = await available('AMQP', async () => ({
  server: await debian('/usr/lib/rabbitmq/bin/rabbitmq-server', 'rabbitmq-server'),
  python: await pythonDrivers(),
  resolving: await withHosts(host),
}));

/** RabbitMQ with everything it keeps below the working directory, and a name server of its own. */
const script = `set -e
export HOME="$PWD" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$PORT_EPMD
cat > rabbitmq.conf <<END
listeners.tcp.1 = 127.0.0.1:$PORT
default_user = podgate
default_pass = $PASSWORD
log.console = true
log.file = false
END
epmd -port "$PORT_EPMD" -address 127.0.0.1 &
export RABBITMQ_NODENAME=podgate@localhost RABBITMQ_DIST_PORT=$PORT_DIST \\
  RABBITMQ_CONFIG_FILE="$PWD/rabbitmq.conf" RABBITMQ_CONF_ENV_FILE=/dev/null \\
  RABBITMQ_MNESIA_BASE="$PWD/mnesia" RABBITMQ_LOG_BASE="$PWD/log" \\
  RABBITMQ_ENABLED_PLUGINS_FILE="$PWD/plugins" RABBITMQ_PID_FILE="$PWD/pid" \\
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}'
exec "$SERVER"
`;

describe.skipIf(!needed)('RabbitMQ behind the gateway', () => {
  let podgate: Standalone;

  beforeAll(async () => {
    podgate = await Standalone.start();
    const pod = {
      pod_id: 'queue',
      image: 'podgate/process',
      command: ['sh', '-c', script],
      environment_variables: { SERVER: needed?.server, PASSWORD: '<<TAPIS_user_password>>' },
      networking: {
        default: { protocol: 'tcp', port: 5672 },
        epmd: { protocol: 'local_only', port: 4369 },
        dist: { protocol: 'local_only', port: 25_672 },
      },
    };
    await podgate.pod(pod, 60_000);
  });
  afterAll(() => podgate.stopAndForget());

  test('pika connects by amqps:// and passes 5 MB through a queue', async () => {
    const program = join(import.meta.dirname, 'driver.py');
    const argv = [...(needed?.resolving ?? []), needed?.python ?? '', program];
    const target = { host, user: 'podgate', password: await podgate.podPassword('queue') };
    const seen = await driver(argv, podgate, target);
    expect(seen).toMatchObject({ messages: 500, last: 'message 499' });
  });
});
