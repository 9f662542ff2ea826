const KiB = 1024;

/**
 * The most bytes of a body, by what it says. A route that takes more than `usual` declares it
 * (`bodyLimit`); whoever sends more is told with 413, by its Content-Length before it is read.
 */
export const bodyBytesMax = {
  /** Logins, clients, permissions: the longest login is 22 KiB as a form, all of it escaped. */
  usual: 32 * KiB,
  /** What is said about a template: 50 metatags of 64 characters, each escaped. */
  template: 64 * KiB,
  /** What a tag defines has 64 KiB as it is stored; escapes and spaces come on top. */
  tag: 256 * KiB,
  /** Command and variables of a pod have no other bound. */
  pod: 1024 * KiB,
  /** Thousands of users of other issuers. */
  tenant: 1024 * KiB,
  /** A thousand images at once. */
  images: 1024 * KiB,
} as const;
