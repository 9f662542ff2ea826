import { podKey } from '#contracts/pod.ts';
import type { Route } from '#contracts/route.ts';
import type { NetworkTraffic, PodTraffic } from '#contracts/traffic.ts';
import { addedTraffic, noTraffic } from '#contracts/traffic.ts';
import type { NetworkReport } from '../observe/report.ts';
import type { WorkerId } from './totals.ts';

interface Entry {
  readonly pod: string;
  readonly network: string;
  /** Without what is open, which is kept by worker. */
  sum: NetworkTraffic;
  /** By process id: what is open at a worker ends with it. */
  readonly open: Map<number, number>;
}

/** What went through the gateway for each host and each pod, while they have routes. */
export class TrafficBook {
  readonly #sinceMs: number;
  readonly #byHost = new Map<string, Entry>();
  readonly #byPod = new Map<string, Map<string, Entry>>();

  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  add({ pid }: WorkerId, report: NetworkReport, route: Route): void {
    const entry = this.#byHost.get(report.host) ?? this.#open(route);
    entry.sum = addedTraffic(entry.sum, { ...report, open: 0 });
    const open = (entry.open.get(pid) ?? 0) + report.opened;
    if (open > 0) entry.open.set(pid, open);
    else entry.open.delete(pid);
  }

  /** The host has no route any more: whoever gets its name next begins at zero. */
  forget(host: string): void {
    const entry = this.#byHost.get(host);
    if (!entry) return;
    this.#byHost.delete(host);
    const networks = this.#byPod.get(entry.pod);
    networks?.delete(entry.network);
    if (networks?.size === 0) this.#byPod.delete(entry.pod);
  }

  gone({ pid }: WorkerId): void {
    for (const { open } of this.#byHost.values()) open.delete(pid);
  }

  ofHost(host: string): NetworkTraffic {
    const entry = this.#byHost.get(host);
    return entry ? trafficOf(entry) : noTraffic;
  }

  /** `key` is a `podKey`. */
  ofPod(key: string): PodTraffic {
    const networks = this.#byPod.get(key) ?? new Map<string, Entry>();
    return {
      sinceMs: this.#sinceMs,
      networks: new Map(Array.from(networks, ([name, entry]) => [name, trafficOf(entry)])),
    };
  }

  #open({ host, tenant, pod, network }: Route): Entry {
    const key = podKey(tenant, pod);
    const entry: Entry = { pod: key, network, sum: noTraffic, open: new Map() };
    this.#byHost.set(host, entry);
    const networks = this.#byPod.get(key) ?? new Map<string, Entry>();
    this.#byPod.set(key, networks.set(network, entry));
    return entry;
  }
}

const trafficOf = ({ sum, open }: Entry): NetworkTraffic => ({
  ...sum,
  open: open.values().reduce((total, count) => total + count, 0),
});
