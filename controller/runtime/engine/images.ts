import type { Clock } from '#contracts/clock.ts';
import { registryOf } from '../../registries.ts';
import { Refused } from '../refused.ts';
import type { RegistryAccess } from '../runtime.ts';
import type { ImageFacts } from './container.ts';
import type { Engine } from './engine.ts';
import { EngineRefusal, isNotFound } from './engine.ts';
import { jsonLines } from './json-lines.ts';
import { PullProgress } from './pull-progress.ts';

/** A registry that sends nothing for this long has stalled. */
const stalledMs = 300_000;
/** Trying again does not help: the image is not there, or not for us. */
const lasting =
  /not found|manifest unknown|name unknown|does not exist|no such image|unauthorized|denied|authentication required|invalid reference|no (?:image found|matching manifest)/i;

export interface PullTerms {
  readonly access: RegistryAccess | null;
  /** Aborted: nobody waits any more; what is being fetched may go on. */
  readonly signal: AbortSignal;
  /** Told how far it has come. */
  readonly progress: (text: string) => void;
  /** Told when fetching began and ended. */
  readonly note: (text: string) => void;
}

class PullFailed extends Error {
  override readonly name = 'PullFailed';
}

/**
 * The images of an engine. One is fetched when it is not there, and when it is named by the tag
 * `latest`, as in Kubernetes; at most once at a time for the same credentials.
 */
export class Images {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #pulls = new Map<string, Pull>();

  constructor(engine: Engine, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
  }

  /**
   * Resolves when the image is there. Throws `Refused` when it cannot be had, another error when it
   * could not be fetched this time, and `RuntimeUnavailable`.
   */
  async provide(image: string, terms: PullTerms): Promise<ImageFacts> {
    const reference = fullReference(image);
    const present = await this.#look(reference);
    if (present && !isMoving(reference)) return present;
    try {
      await this.#pull(image, reference, terms);
    } catch (error) {
      if (!present || terms.signal.aborted) throw error;
      // Of images that were made on this machine no registry knows.
      if (!reference.startsWith('localhost/'))
        terms.note(`${wordsFor(error)}, so the copy on this machine is used.`);
      return present;
    }
    const fetched = await this.#look(reference);
    if (!fetched) throw new PullFailed(`image ${image} was fetched and is not there`);
    return fetched;
  }

  async #look(reference: string): Promise<ImageFacts | undefined> {
    try {
      const found = await this.#engine.call((docker) => docker.getImage(reference).inspect());
      return { id: found.Id, user: found.Config?.User ?? '' };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (error instanceof EngineRefusal && error.status === 400)
        throw new Refused(`image ${reference}: ${error.message}`);
      throw error;
    }
  }

  async #pull(image: string, reference: string, terms: PullTerms): Promise<void> {
    const { access, signal, progress, note } = terms;
    const name = `${access?.server ?? ''} ${access?.username ?? ''} ${reference}`;
    let pull = this.#pulls.get(name);
    if (!pull) {
      pull = new Pull(this.#engine, this.#clock, reference, access);
      this.#pulls.set(name, pull);
      const over = (): boolean => this.#pulls.delete(name);
      void pull.ended.then(over, over);
    }
    note(`Fetching the image ${image} began.`);
    const stop = pull.watch((text) =>
      progress(`Fetches the image ${image}${text && `: ${text}`}.`),
    );
    try {
      await untilAborted(pull.ended, signal);
      note(`The image ${image} was fetched.`);
    } catch (error) {
      if (signal.aborted) throw error;
      throw failure(image, access, error);
    } finally {
      stop();
    }
  }
}

/** One image on its way, for all who wait for it. */
class Pull {
  readonly ended: Promise<void>;
  readonly #watchers = new Set<(text: string) => void>();
  #text = '';

  constructor(engine: Engine, clock: Clock, reference: string, access: RegistryAccess | null) {
    this.ended = this.#run(engine, clock, reference, access);
  }

  watch(watcher: (text: string) => void): () => void {
    this.#watchers.add(watcher);
    watcher(this.#text);
    return () => this.#watchers.delete(watcher);
  }

  async #run(
    engine: Engine,
    clock: Clock,
    reference: string,
    access: RegistryAccess | null,
  ): Promise<void> {
    const authconfig = access && {
      username: access.username,
      password: access.password,
      serveraddress: access.server,
    };
    const stalled = new AbortController();
    const give = (): void =>
      stalled.abort(new PullFailed('the registry has sent nothing for long'));
    let cancel = clock.after(stalledMs, give);
    const abortSignal = stalled.signal;
    try {
      const answer = await engine.stream((docker) =>
        docker.pull(reference, { abortSignal, ...(authconfig && { authconfig }) }),
      );
      const progress = new PullProgress();
      for await (const line of jsonLines(answer)) {
        cancel();
        cancel = clock.after(stalledMs, give);
        progress.add(line);
        this.#tell(progress.describe());
      }
      if (progress.error !== undefined) throw new PullFailed(progress.error);
    } catch (error) {
      throw stalled.signal.aborted ? stalled.signal.reason : error;
    } finally {
      cancel();
    }
  }

  #tell(text: string): void {
    if (text === this.#text) return;
    this.#text = text;
    for (const watcher of this.#watchers) watcher(text);
  }
}

function failure(image: string, access: RegistryAccess | null, error: unknown): Error {
  if (!(error instanceof PullFailed || error instanceof EngineRefusal))
    return error instanceof Error ? error : new Error(String(error));
  const words = `image ${image} cannot be fetched: ${firstLine(error.message)}${hint(image, access, error)}`;
  return lasting.test(error.message) ? new Refused(words) : new PullFailed(words);
}

/** Registries say the same of images that are not there and of those that are not for us. */
function hint(image: string, access: RegistryAccess | null, { message }: Error): string {
  if (!/unauthorized|denied|authentication|invalid username/i.test(message)) return '';
  return access
    ? ` (the registry ${access.server} does not accept the credentials that PODGATE_REGISTRY_AUTH_FILE has for it)`
    : ` (PODGATE_REGISTRY_AUTH_FILE has no credentials for the registry ${registryOf(image)})`;
}

const wordsFor = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
};

const firstLine = (text: string): string => text.trim().split('\n', 1)[0]?.slice(0, 500) ?? '';

/** With its registry, so that no engine guesses another one. */
export function fullReference(image: string): string {
  const server = registryOf(image);
  if (image.startsWith(`${server}/`) || server !== 'docker.io') return tagged(image);
  const path = image.replace(/^(?:index|registry-1)\.docker\.io\//, '');
  return tagged(`docker.io/${path.includes('/') ? path : `library/${path}`}`);
}

function tagged(reference: string): string {
  const hasTag = reference.lastIndexOf(':') > reference.lastIndexOf('/');
  return hasTag || reference.includes('@') ? reference : `${reference}:latest`;
}

const isMoving = (reference: string): boolean => reference.endsWith(':latest');

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new DOMException('nobody waits any more', 'AbortError'));
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
