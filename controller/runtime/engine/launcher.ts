import type { ContainerCreateOptions } from 'dockerode';
import type { Clock } from '#contracts/clock.ts';
import { Refused } from '../refused.ts';
import type { RunSpec } from '../runtime.ts';
import type { PullTerms } from './images.ts';
import { Images } from './images.ts';
import type { ImageFacts, Site } from './container.ts';
import { containerOf, insteadOfRoot } from './container.ts';
import type { ContainerState } from './container-state.ts';
import { readState } from './container-state.ts';
import type { Engine } from './engine.ts';
import { EngineRefusal, isNotFound } from './engine.ts';
import { withoutGpus } from './gpus.ts';
import { ImageUsers } from './image-user.ts';
import { networkName, ownLabels } from './labels.ts';

/** Engines do few things at once well; more wait here, where they can be told so. */
const launchesMax = 8;
/** What engines and their runtimes say of a program that is not there or is none. */
const noProgram =
  /exec:? .*(?:not found|no such file|permission denied|is a directory)|exec format error|command that was not found|no command /i;

export interface LaunchTerms extends Omit<PullTerms, 'access'> {
  /** Told the container's id before the program begins. */
  readonly made: (container: string) => void;
}

/** Makes containers, one tenant's on one network, and takes them away. */
export class Launcher {
  readonly #engine: Engine;
  readonly #site: Site;
  readonly #images: Images;
  readonly #users: ImageUsers;
  readonly #clock: Clock;
  readonly #networks = new Map<string, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #launches = 0;

  constructor(engine: Engine, site: Site, clock: Clock) {
    this.#engine = engine;
    this.#site = site;
    this.#clock = clock;
    this.#images = new Images(engine, clock);
    this.#users = new ImageUsers(engine);
  }

  /**
   * Resolves when the program has begun. Throws `Refused` when it cannot, `RuntimeUnavailable`, and
   * another error for what may pass.
   */
  async launch(spec: RunSpec, terms: LaunchTerms): Promise<void> {
    const { signal } = terms;
    const image = await this.#images.provide(spec.image, { ...terms, access: spec.registry });
    const options = containerOf(spec, image, this.#site);
    terms.progress('The container waits for its turn to be made.');
    await this.#turn(signal);
    try {
      signal.throwIfAborted();
      await this.#provideNetwork(spec.tenant);
      const container = await this.#createFor(spec, image, options);
      terms.made(container);
      signal.throwIfAborted();
      terms.progress('The container is being started.');
      await this.#engine.call((docker) => docker.getContainer(container).start());
    } catch (error) {
      throw refusalOf(withoutGpus(spec.resources.gpus, this.#site.engine, error));
    } finally {
      this.#launches -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** How a container is. */
  async look(container: string): Promise<ContainerState | 'gone'> {
    try {
      const info = await this.#engine.call((docker) => docker.getContainer(container).inspect());
      return readState(info, this.#clock.nowMs());
    } catch (error) {
      if (isNotFound(error)) return 'gone';
      throw error;
    }
  }

  /** Sends what the image says that ends it well, or the given signal. */
  async signal(container: string, signal?: 'SIGKILL'): Promise<void> {
    await this.#engine.call(async (docker) => {
      const found = docker.getContainer(container);
      if (signal) return found.kill({ signal });
      const { Config: config } = await found.inspect();
      const asks = 'StopSignal' in config ? config.StopSignal : undefined;
      return found.kill({ signal: stopSignalOf(asks) });
    });
  }

  /** Takes a container away with what it has written. One that stays is swept later. */
  async discard(container: string): Promise<void> {
    try {
      await this.#engine.call((docker) =>
        docker.getContainer(container).remove({ force: true, v: true }),
      );
    } catch {
      // Gone already, or the engine is.
    }
  }

  /** The tenant has no pods any more. */
  async discardNetwork(tenant: string): Promise<void> {
    const name = networkName(this.#site.installation, tenant);
    this.#networks.delete(name);
    try {
      await this.#engine.call((docker) => docker.getNetwork(name).remove());
    } catch {
      // Gone already, or a pod has just come.
    }
  }

  /** Resolves when there is room for one more, or when nobody waits for it any more. */
  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#launches >= launchesMax) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      const left = this.#waiting.indexOf(resolve);
      if (left !== -1) this.#waiting.splice(left, 1);
    }
    this.#launches += 1;
  }

  /** Never as root, by whatever name the image calls it, unless that is granted. */
  async #createFor(
    spec: RunSpec,
    image: ImageFacts,
    options: ContainerCreateOptions,
  ): Promise<string> {
    if (spec.privileges.root || options.User !== undefined) return this.#create(options);
    const safe = { ...options, User: insteadOfRoot(spec) };
    if (this.#users.knowsRoot(image)) return this.#create(safe);
    const container = await this.#create(options);
    const keep = await this.#users.isRoot(image, container).then(
      (isRoot) => !isRoot,
      async (error: unknown) => {
        await this.discard(container);
        throw error;
      },
    );
    if (keep) return container;
    await this.discard(container);
    return this.#create(safe);
  }

  async #create(options: ContainerCreateOptions): Promise<string> {
    const create = async (): Promise<string> =>
      (await this.#engine.call((docker) => docker.createContainer(options))).id;
    try {
      return await create();
    } catch (error) {
      if (!isNameTaken(error) || !options.name) throw error;
      // Made by us for this very run, before an answer was lost.
      await this.discard(options.name);
      return create();
    }
  }

  #provideNetwork(tenant: string): Promise<void> {
    const name = networkName(this.#site.installation, tenant);
    const known = this.#networks.get(name) ?? this.#makeNetwork(name);
    this.#networks.set(name, known);
    known.catch(() => this.#networks.delete(name));
    return known;
  }

  async #makeNetwork(name: string): Promise<void> {
    const { installation, engine } = this.#site;
    try {
      await this.#engine.call((docker) => docker.getNetwork(name).inspect());
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    try {
      await this.#engine.call((docker) =>
        docker.createNetwork({
          Name: name,
          Driver: 'bridge',
          Labels: ownLabels(installation),
          // Docker keeps its networks apart by itself.
          ...(engine.name === 'Podman' && { Options: { isolate: 'true' } }),
        }),
      );
    } catch (error) {
      if (!(error instanceof EngineRefusal && error.status === 409)) throw error;
    }
  }
}

const isNameTaken = (error: unknown): boolean =>
  error instanceof EngineRefusal && /already in use|name.*in use/i.test(error.message);

/** Podman gives a number. */
function stopSignalOf(asks: unknown): string {
  return (typeof asks === 'string' && asks !== '') || typeof asks === 'number'
    ? String(asks)
    : 'SIGTERM';
}

function refusalOf(error: unknown): unknown {
  if (!(error instanceof EngineRefusal)) return error;
  return noProgram.test(error.message) ? new Refused(error.message) : error;
}
