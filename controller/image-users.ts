/**
 * Images of Docker Hub that begin as root only to become a user of their own, and whose files are
 * that user's: begun as it, they need neither root nor capabilities. By the Dockerfiles of
 * docker-library and docker-neo4j; their group has the same number.
 */
const users: ReadonlyMap<string, number> = new Map([
  ['mariadb', 999],
  ['mongo', 999],
  ['neo4j', 7474],
  ['postgres', 999],
]);
/** Alpine gives other numbers to users. */
const alpineUsers: ReadonlyMap<string, number> = new Map([['postgres', 70]]);

/** The user that an image becomes by itself, if that is known. */
export function knownUserOf(image: string): number | null {
  const name = /^(?:(?:index\.)?docker\.io\/)?(?:library\/)?([^/:@]+)(?::([^@]+))?(?:@.+)?$/.exec(
    image,
  );
  const [, repository = '', tag = ''] = name ?? [];
  const known = tag.includes('alpine') ? alpineUsers : users;
  return known.get(repository) ?? null;
}
