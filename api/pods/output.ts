import type { z } from 'zod';
import { podKey } from '#contracts/pod.ts';
import type { Acting } from '../access/declared.ts';
import type { ApiPorts } from '../ports.ts';
import type { WireAction } from './actions.ts';
import { actionLines, presentActions } from './actions.ts';
import { LogEvents, placeOf } from './log-events.ts';
import type { PodCertificates } from './certificate.ts';
import type { LogQuery } from './log-query.ts';
import { windowOf } from './log-query.ts';
import type { Following } from './log-stream.ts';
import { Followers } from './log-stream.ts';
import type { PodRecords } from './records.ts';
import type { zLogs } from './schemas.ts';

/** What a pod's program wrote, and what was done to the pod. Throws `Refused`. */
export class PodOutput {
  readonly #ports: Pick<ApiPorts, 'logs' | 'clock' | 'log'>;
  readonly #records: PodRecords;
  readonly #certificates: Pick<PodCertificates, 'warnings'>;
  readonly followers: Followers;

  constructor(
    ports: Pick<ApiPorts, 'logs' | 'clock' | 'log'>,
    records: PodRecords,
    certificates: Pick<PodCertificates, 'warnings'>,
  ) {
    this.#ports = ports;
    this.#records = records;
    this.#certificates = certificates;
    this.followers = new Followers(ports);
  }

  async logs(podId: string, query: LogQuery, caller: Acting): Promise<z.infer<typeof zLogs>> {
    const { pod, status } = await this.#records.find(podId, caller);
    const window = windowOf(query, this.#ports.clock.nowMs());
    const logs = await this.#ports.logs.read(podKey(caller.tenant, podId), window);
    const warnings = await this.#certificates.warnings(podId, caller.tenant);
    return { logs, action_logs: actionLines(pod.actions, status?.actions ?? [], warnings) };
  }

  /** What to follow. `again` says who the caller is now, and throws when that is nobody any more. */
  async following(
    podId: string,
    query: LogQuery & { readonly lastEventId: string | undefined },
    { caller, again }: { readonly caller: Acting; readonly again: () => Promise<Acting> },
  ): Promise<Following> {
    const { pod } = await this.#records.find(podId, caller);
    const start = placeOf(query.lastEventId, windowOf(query, this.#ports.clock.nowMs()), pod);
    const key = podKey(caller.tenant, podId);
    return {
      pieces: (signal) => this.#ports.logs.follow(key, start, signal),
      events: new LogEvents(pod),
      check: async () => this.#records.find(podId, { ...(await again()), ifMatch: undefined }),
    };
  }

  async actions(podId: string, caller: Acting): Promise<WireAction[]> {
    const { pod, status } = await this.#records.find(podId, caller);
    const warnings = await this.#certificates.warnings(podId, caller.tenant);
    return presentActions(pod.actions, status?.actions ?? [], warnings);
  }
}
