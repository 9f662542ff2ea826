import { RequestMeter } from '../../gateway/observe/request-meter.ts';

/** Loaded before a worker: its requests are not counted. What counting costs is the difference. */

for (const name of ['received', 'sent', 'begin', 'goes', 'answered', 'left', 'end'] as const)
  RequestMeter.prototype[name] = () => undefined;
