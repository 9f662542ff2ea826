import type { ServerResponse } from 'node:http';
import { systemClock } from '#adapters/system/clock.ts';
import type { Faults } from './faults.ts';
import type { Target } from './resources.ts';
import { isObject } from './schema.ts';
import { StatusError } from './status.ts';
import type { Change, KubeObject, Store } from './store.ts';

type Matches = (object: KubeObject) => boolean;

/** Equality selectors, which are all that Podgate asks with. */
function matcherOf({ namespace }: Target, { searchParams }: URL): Matches {
  const pairs = (name: string): [string, string][] =>
    (searchParams.get(name) ?? '')
      .split(',')
      .filter(Boolean)
      .map((term) => term.split('=').filter(Boolean) as [string, string]);
  const labels = pairs('labelSelector');
  const fields = pairs('fieldSelector');
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    labels.every(([name, value]) => object.metadata.labels?.[name] === value) &&
    fields.every(([name, value]) => String(fieldAt(object, name.split('.'))) === value);
}

const fieldAt = (object: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((within, name) => (isObject(within) ? within[name] : undefined), object);

const expired = (): StatusError =>
  new StatusError(410, 'Expired', 'The resourceVersion for the provided watch is too old.');

/** A list in pages; the token of the next names the version and the place. */
export function listAnswer(store: Store, faults: Faults, target: Target, url: URL): object {
  const { plural, kind, group } = target.resource;
  const all = store
    .list(plural)
    .filter(matcherOf(target, url))
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const limit = Number(url.searchParams.get('limit') ?? 0) || Infinity;
  const token = url.searchParams.get('continue');
  const [version = '', after = ''] = token ? token.split('@') : [String(store.version), ''];
  if (token && faults.expiredPages > 0) {
    faults.expiredPages -= 1;
    throw expired();
  }
  const rest = all.filter((object) => nameOf(object) > after);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const more = rest.length > page.length && last !== undefined;
  return {
    kind: `${kind}List`,
    apiVersion: group ? `${group}/v1` : 'v1',
    metadata: {
      resourceVersion: version,
      ...(more
        ? { continue: `${version}@${nameOf(last)}`, remainingItemCount: rest.length - page.length }
        : {}),
    },
    items: page,
  };
}

const nameOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;

interface Watch {
  readonly target: Target;
  readonly url: URL;
  readonly response: ServerResponse;
}

export function watchAnswer(store: Store, faults: Faults, { target, url, response }: Watch): void {
  const version = Number(url.searchParams.get('resourceVersion') ?? 0);
  const missed = store.since(version || store.version);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  const send = (event: object): void => void response.write(`${JSON.stringify(event)}\n`);
  if (missed === undefined) {
    send({ type: 'ERROR', object: expired() });
    return void response.end();
  }
  const matches = matcherOf(target, url);
  const tell = (change: Change): void => {
    const event = change.resource === target.resource.plural && eventOf(change, matches);
    if (event && !faults.silentWatch) send(event);
  };
  missed.forEach(tell);
  store.changes.on('change', tell);
  const cut = (): void => void response.destroy();
  faults.events.on('cut', cut);
  const { kind, group } = target.resource;
  const bookmark = (): void => {
    const metadata = { resourceVersion: String(store.version), creationTimestamp: null };
    const object = { kind, apiVersion: group ? `${group}/v1` : 'v1', metadata };
    const wanted = url.searchParams.get('allowWatchBookmarks') === 'true';
    if (wanted && !faults.silentWatch) send({ type: 'BOOKMARK', object });
    cancel = systemClock.after(faults.bookmarkMs, bookmark);
  };
  let cancel = systemClock.after(faults.bookmarkMs, bookmark);
  const seconds = Number(url.searchParams.get('timeoutSeconds') ?? 1_800);
  const end = systemClock.after(seconds * 1_000, () => response.end());
  response.once('close', () => {
    cancel();
    end();
    store.changes.off('change', tell);
    faults.events.off('cut', cut);
  });
}

/** Objects that come into a selection are added to it, and those that leave it deleted. */
function eventOf({ type, object, before }: Change, matches: Matches): object | undefined {
  const is = matches(object);
  const was = before !== undefined && matches(before);
  if (type === 'DELETED') return is || was ? { type, object } : undefined;
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', object };
  return was ? { type: 'DELETED', object } : undefined;
}
