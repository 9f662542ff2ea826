import { banner } from './banner.ts';
import { readSettings } from '../settings/read.ts';
import { standaloneGroups } from './settings.ts';
import { startStandalone } from './standalone.ts';
import { startProblem } from './start-problem.ts';

/** `npm start`: reads the environment, runs until a signal; exits 1 with one line when it cannot. */

// Supervisors grant 10 s between SIGTERM and SIGKILL.
const stopDeadlineMs = 9_500;

const stack = new AsyncDisposableStack();
let stopping = false;

/** Once: a second signal (Ctrl-C reaches us and is passed on by npm as well) must not cut it short. */
function stop(code: number): void {
  if (stopping) return;
  stopping = true;
  setTimeout(() => process.exit(1), stopDeadlineMs).unref();
  stack.disposeAsync().then(
    () => process.exit(code),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(0));

try {
  const settings = readSettings(standaloneGroups, process.env, {
    isRoot: process.getuid?.() === 0,
  });
  // Nothing that we start may inherit it.
  delete process.env['PODGATE_ADMIN_PASSWORD'];
  delete process.env['PODGATE_ADMIN_TOKEN'];
  delete process.env['PODGATE_REDIS_URL'];
  const { apiPort, caFile, password } = await startStandalone(settings, stack);
  const { domain, publicHttpsPort } = settings.site;
  const { httpsPort } = settings.gateway;
  const facts = { domain, publicHttpsPort, httpsPort, apiPort, caFile };
  process.stdout.write(banner({ ...facts, passwordFile: password.file }));
} catch (error) {
  const stackTrace = error instanceof Error ? error.stack : String(error);
  console.error(`podgate: ${startProblem(error, process.env) ?? stackTrace}`);
  stop(1);
}
