import type { z } from 'zod';
import { podKey } from '#contracts/pod.ts';
import type { Acting } from '../access/declared.ts';
import type { ApiPorts } from '../ports.ts';
import type { WireAction } from './actions.ts';
import { actionLines, presentActions } from './actions.ts';
import type { LogQuery } from './log-query.ts';
import { windowOf } from './log-query.ts';
import type { PodRecords } from './records.ts';
import type { zLogs } from './schemas.ts';

/** What a pod's program wrote, and what was done to the pod. Throws `Refused`. */
export class PodOutput {
  readonly #ports: Pick<ApiPorts, 'logs' | 'clock'>;
  readonly #records: PodRecords;

  constructor(ports: Pick<ApiPorts, 'logs' | 'clock'>, records: PodRecords) {
    this.#ports = ports;
    this.#records = records;
  }

  async logs(podId: string, query: LogQuery, caller: Acting): Promise<z.infer<typeof zLogs>> {
    const { pod, status } = await this.#records.find(podId, caller);
    const window = windowOf(query, this.#ports.clock.nowMs());
    const logs = await this.#ports.logs.read(podKey(caller.tenant, podId), window);
    return { logs, action_logs: actionLines(pod.actions, status?.actions ?? []) };
  }

  async actions(podId: string, caller: Acting): Promise<WireAction[]> {
    const { pod, status } = await this.#records.find(podId, caller);
    return presentActions(pod.actions, status?.actions ?? []);
  }
}
