import { runProgram } from '../start/program.ts';
import { banner } from './banner.ts';
import { standaloneGroups } from './settings.ts';
import { startStandalone } from './standalone.ts';

/** `npm start`: all programs in one process, until a signal. */
await runProgram(process.env, standaloneGroups, async (settings, { stack }) => {
  const { apiPort, caFile, password, containers } = await startStandalone(settings, stack);
  const { domain, publicHttpsPort } = settings.site;
  const { httpsPort } = settings.gateway;
  const facts = { domain, publicHttpsPort, httpsPort, apiPort, caFile, containers };
  process.stdout.write(banner({ ...facts, passwordFile: password.file }));
});
