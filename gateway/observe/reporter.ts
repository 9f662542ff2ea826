import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from '#contracts/clock.ts';
import type { Meters } from './meters.ts';
import type { Now, Report } from './report.ts';

const everyMs = 1_000;
const lagResolutionMs = 20; // fifty timers a second cost a thousandth of a core

/** What the worker says of itself, beside what is counted. */
export interface Standing extends Omit<Now, 'requests' | 'tunnels' | 'residentBytes' | 'lag'> {
  /** Connections to pods, since the start. */
  readonly upstreamsMade: number;
}

export interface ReporterPorts {
  readonly clock: Clock;
  standing(): Standing;
  send(report: Report): void;
}

/** Tells the parent once a second what the meters hold, and how the worker process is. */
export class Reporter {
  readonly #meters: Meters;
  readonly #ports: ReporterPorts;
  readonly #lag = monitorEventLoopDelay({ resolution: lagResolutionMs });
  #cpuSeconds = 0;
  #upstreamsMade = 0;
  #cancel: () => void;

  constructor(meters: Meters, ports: ReporterPorts) {
    this.#meters = meters;
    this.#ports = ports;
    this.#lag.enable();
    this.#cancel = this.#again();
  }

  /** Ends the reports; returns what the last one would say. */
  stop(): Report {
    this.#cancel();
    return this.#report();
  }

  #again(): () => void {
    return this.#ports.clock.after(everyMs, () => {
      this.#ports.send(this.#report());
      this.#cancel = this.#again();
    });
  }

  #report(): Report {
    const { upstreamsMade, ...standing } = this.#ports.standing();
    const { user, system } = process.cpuUsage();
    const cpuSeconds = (user + system) / 1e6;
    const grown = {
      cpuSeconds: cpuSeconds - this.#cpuSeconds,
      upstreamConnections: upstreamsMade - this.#upstreamsMade,
    };
    this.#cpuSeconds = cpuSeconds;
    this.#upstreamsMade = upstreamsMade;
    const { requestsInFlight: requests, tunnels } = this.#meters;
    const residentBytes = process.memoryUsage.rss();
    const now = { ...standing, requests, tunnels, residentBytes, lag: this.#lately() };
    return this.#meters.report(grown, now);
  }

  #lately(): Now['lag'] {
    const late = (percentile: number): number =>
      Math.max(0, this.#lag.percentile(percentile) / 1e6 - lagResolutionMs) / 1000;
    // Nothing measured reads as a number beyond all others.
    const measured = this.#lag.count > 0;
    const lag = measured
      ? { p50Seconds: late(50), maxSeconds: late(100) }
      : { p50Seconds: 0, maxSeconds: 0 };
    this.#lag.reset();
    return lag;
  }
}
