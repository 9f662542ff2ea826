/** Names of templates as callers write them: `id`, `id:tag`, `id:tag@timestamp`. */

export interface Reference {
  readonly templateId: string;
  readonly tag: string;
  /** `<tag>@YYYY-MM-DD-HH:MM:SS`; absent: the newest of the tag. */
  readonly timestamp: string | undefined;
}

export const tagPattern = /^[a-zA-Z0-9.-]{1,80}$/;
const written =
  /^(?<id>[a-z][a-z0-9]{2,63})(?::(?<tag>[a-zA-Z0-9.-]{1,80})(?<at>@\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d)?)?$/;

/** The parts of a reference, or undefined when it is none; a tag left out is `latest`. */
export function parseReference(text: string): Reference | undefined {
  const groups = written.exec(text)?.groups;
  if (!groups) return undefined;
  const { id: templateId = '', tag = 'latest', at } = groups;
  return { templateId, tag, timestamp: at === undefined ? undefined : tag + at };
}

/** `<tag>@YYYY-MM-DD-HH:MM:SS` in UTC. */
export function tagTimestamp(tag: string, atMs: number): string {
  const iso = new Date(atMs).toISOString();
  return `${tag}@${iso.slice(0, 10)}-${iso.slice(11, 19)}`;
}
