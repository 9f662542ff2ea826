import { posix } from 'node:path';
import { Refused } from '../refused.ts';
import type { ImageFacts } from './container.ts';
import type { Engine } from './engine.ts';
import { isNotFound } from './engine.ts';
import { readTarFile } from './tar-file.ts';

/** More is no list of users. */
const passwdBytesMax = 1_000_000;
const linksMax = 8;

/** Finds out who the users are that images name, which only their own list of users tells. */
export class ImageUsers {
  readonly #engine: Engine;
  readonly #known = new Map<string, boolean>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Whether the image is known to call root by another name. */
  knowsRoot(image: ImageFacts): boolean {
    return this.#known.get(keyOf(image)) === true;
  }

  /** Whether its user is root by another name; a container that was made of it tells. Throws `Refused`. */
  async isRoot(image: ImageFacts, container: string): Promise<boolean> {
    const name = nameOf(image);
    if (name === undefined) return false;
    const known = this.#known.get(keyOf(image));
    if (known !== undefined) return known;
    const passwd = await this.#passwdOf(container);
    if (passwd === undefined)
      throw new Refused(
        `its image is of the user ${name}, and has no /etc/passwd that can be read`,
      );
    const isRoot = uidOf(passwd, name) === 0;
    this.#known.set(keyOf(image), isRoot);
    return isRoot;
  }

  async #passwdOf(container: string): Promise<string | undefined> {
    let path = '/etc/passwd';
    for (let links = 0; links < linksMax; links += 1) {
      const archive = await this.#archiveOf(container, path);
      const file = archive && readTarFile(archive);
      if (file?.kind === 'file') return file.text;
      if (file?.kind !== 'link') break;
      path = posix.resolve(posix.dirname(path), file.target);
    }
    return undefined;
  }

  async #archiveOf(container: string, path: string): Promise<Buffer | undefined> {
    const asked = this.#engine.call((docker) =>
      docker.getContainer(container).getArchive({ path }),
    );
    const answer = await asked.catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (!answer) return undefined;
    const chunks: Buffer[] = [];
    let received = 0;
    for await (const chunk of answer) {
      chunks.push(Buffer.from(chunk));
      received += chunk.length;
      if (received > passwdBytesMax) throw new Refused('the /etc/passwd of its image is too large');
    }
    return Buffer.concat(chunks);
  }
}

const keyOf = ({ id, user }: ImageFacts): string => `${id} ${user}`;

/** The user's name; undefined where there is none, or a number. */
function nameOf({ user }: ImageFacts): string | undefined {
  const [name = ''] = user.split(':');
  return name === '' || decimal.test(name) ? undefined : name;
}

const decimal = /^[+-]?\d+$/;

/** As engines read it: the first line of that name counts, and what is no number is 0. */
export function uidOf(passwd: string, name: string): number | undefined {
  const lines = passwd.split('\n').map((line) => line.trim().split(':'));
  const found = lines.find(([first]) => first === name);
  if (!found) return undefined;
  const [, , uid = ''] = found;
  return decimal.test(uid) ? Number(uid) : 0;
}
