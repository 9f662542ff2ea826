import type { TestCluster } from './cluster.ts';

/** Writes through both apis all the time, and what was said of each. */

const everyMs = 150;

/** What one pod was told: numbers that only grow. */
interface Told {
  /** The newest that was answered with success. */
  answered: number;
  /** The newest that was tried: it may be true without anybody having heard. */
  tried: number;
}

export class Writers {
  readonly created = new Set<string>();
  /** Answers that were neither success nor a failure of ours or the store. */
  readonly surprises: string[] = [];
  readonly #cluster: TestCluster;
  readonly #described = new Map<string, Told>();
  readonly #edited: Told = { answered: 0, tried: 0 };
  readonly #editedPod: string;
  readonly #over = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  #editing = true;

  /** `edited` runs, and its routes are changed; others are made, and changed, without running. */
  constructor(cluster: TestCluster, edited: string) {
    this.#cluster = cluster;
    this.#editedPod = edited;
    for (const api of [1, 2] as const) this.#running.push(this.#describe(api), this.#create(api));
    this.#running.push(this.#edit());
  }

  /** The newest edit of routes. */
  get edited(): Readonly<Told> {
    return this.#edited;
  }

  get writes(): number {
    const numbers = [...this.#described.values()].map(({ answered }) => answered);
    return numbers.reduce((sum, count) => sum + count, this.created.size + this.#edited.answered);
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#running);
  }

  /** No more edits of routes are begun until `goOn`. */
  pauseEdits(): Readonly<Told> {
    this.#editing = false;
    return { ...this.#edited };
  }

  goOn(): void {
    this.#editing = true;
  }

  /** What was lost of what was answered; nothing should be. */
  async lost(): Promise<string[]> {
    const { envelope } = await this.#cluster.call(1, ['GET', '/v3/pods?limit=1000']);
    const listed = new Map(
      (envelope.result as unknown as { pod_id: string; description: string }[]).map(
        (pod) => [pod.pod_id, pod.description] as const,
      ),
    );
    const missing = [...this.created].filter((id) => !listed.has(id));
    const older = [...this.#described].flatMap(([id, { answered, tried }]) => {
      const found = Number(listed.get(id));
      const honest = found >= answered && found <= tried;
      return honest ? [] : [`${id} says ${listed.get(id)}, told ${answered} to ${tried}`];
    });
    return [...missing.map((id) => `${id} is missing`), ...older];
  }

  async #edit(): Promise<void> {
    for (let count = 1; !this.#over.signal.aborted;) {
      if (this.#editing) {
        this.#edited.tried = count;
        await this.#editTo(count);
        count += 1;
      }
      await this.#pause(everyMs * 3);
    }
  }

  async #editTo(count: number): Promise<void> {
    const body = { networking: { default: editedNetwork(count) } };
    const api = count % 2 === 0 ? 1 : 2;
    if (await this.#write(api, [['PUT', `/v3/pods/${this.#editedPod}`], body]))
      this.#edited.answered = count;
  }

  async #describe(api: 1 | 2): Promise<void> {
    const pod = `described${api}`;
    const told: Told = { answered: 0, tried: 0 };
    const body = { pod_id: pod, image: 'podgate/hello', status_requested: 'OFF', description: '0' };
    while (!(await this.#write(api, [['POST', '/v3/pods'], body]))) await this.#pause(everyMs);
    this.#described.set(pod, told);
    for (let count = 1; !this.#over.signal.aborted; count += 1) {
      told.tried = count;
      const ok = await this.#write(api, [['PUT', `/v3/pods/${pod}`], { description: `${count}` }]);
      if (ok) told.answered = count;
      await this.#pause(everyMs);
    }
  }

  async #create(api: 1 | 2): Promise<void> {
    for (let count = 0; !this.#over.signal.aborted; count += 1) {
      const id = `made${api}x${count}`;
      const body = { pod_id: id, image: 'podgate/hello', status_requested: 'OFF' };
      if (await this.#write(api, [['POST', '/v3/pods'], body])) this.created.add(id);
      await this.#pause(everyMs * 10);
    }
  }

  /** Whether it was answered with success. */
  async #write(
    api: 1 | 2,
    [what, body]: readonly [readonly [string, string], object],
  ): Promise<boolean> {
    try {
      const { status, envelope } = await this.#cluster.call(api, what, body);
      if (status >= 400 && status < 500)
        this.surprises.push(`${what.join(' ')}: ${status} ${JSON.stringify(envelope.message)}`);
      return status < 300;
    } catch {
      // It was killed, or it hung: nobody knows.
      return false;
    }
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#over.signal.aborted) return;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

/** The policy that edit number `count` gives the pod: it can be seen in an answer. */
export const originOf = (count: number): string => `https://n${count}.example.org`;
const editedNetwork = (count: number) => ({
  protocol: 'http',
  port: 5000,
  cors_allow_origins: [originOf(count)],
});
