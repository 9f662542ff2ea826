import type { AllowedImage } from '#contracts/image.ts';
import { allowedImages, builtinImages, imageName } from '#contracts/image.ts';
import { WriteConflict } from '#contracts/store.ts';
import type { Acting } from '../access/declared.ts';
import type { Caller } from '../auth/caller.ts';
import { entityTag, requireMatch } from '../entity-tag.ts';
import { Invalid, Refused } from '../errors.ts';
import type { ApiPorts, ApiSettings } from '../ports.ts';
import { retrying } from '../retrying.ts';
import { timestamp } from '../times.ts';
import type { NewImage, WireImage } from './schemas.ts';

/** Images that are there without being on the list. */
const builtin: readonly AllowedImage[] = [
  [builtinImages.hello, 'The example program of Podgate.'],
  [builtinImages.process, 'A program of the host: for admins, or where the operator allows it.'],
].map(([image = '', description = '']) => {
  return { image, description, tenants: ['*'], addedBy: 'podgate', createdAtMs: 0 };
});

interface StoredImage {
  readonly value: AllowedImage;
  readonly version: number;
}

/** The list of images that pods may run: read by everybody, written by admins. */
export class ImageService {
  readonly #ports: ApiPorts;
  readonly #settings: ApiSettings;

  constructor(ports: ApiPorts, settings: ApiSettings) {
    this.#ports = ports;
    this.#settings = settings;
  }

  /** What the caller's tenant may run; everything for those who decide for all tenants. */
  async list(caller: Caller): Promise<WireImage[]> {
    const { documents } = await allowedImages(this.#ports.store).list();
    const listed = documents.map(({ value }) => value).filter((each) => this.#sees(each, caller));
    return [...builtin, ...listed].map(presentImage);
  }

  /** The image of that name, whatever tag is asked for; undefined when the caller sees none. */
  async find(id: string, caller: Acting): Promise<{ image: WireImage; tag: string } | undefined> {
    const found = await this.#find(imageName(id));
    if (!found || !this.#sees(found.value, caller)) return undefined;
    requireMatch(caller.ifMatch, found.version);
    return { image: presentImage(found.value), tag: entityTag(found.version) };
  }

  /** Whether pods of this tenant may run it. */
  async mayRun(image: string, tenant: string): Promise<boolean> {
    const found = await this.#find(imageName(image));
    return found !== undefined && isFor(tenant, found.value);
  }

  /** Adds them all or, when one is there already and is not to be skipped, none. */
  async add(
    wanted: readonly NewImage[],
    caller: Acting,
    skipDuplicates: boolean,
  ): Promise<{ added: WireImage[]; skipped: string[] }> {
    const images = wanted.map((each, index) => this.#newImage(each, index, caller));
    const there = await Promise.all(images.map(({ image }) => this.#stored(image)));
    const taken = images.filter((_image, index) => there[index]).map(({ image }) => image);
    const twice = images
      .filter(({ image }, index) => images.findIndex((each) => each.image === image) < index)
      .map(({ image }) => image);
    const skipped = [...new Set([...taken, ...twice])];
    if (skipped.length > 0 && !skipDuplicates) throw exists(skipped);
    const added = images.filter(
      ({ image }, index) =>
        !taken.includes(image) && images.findIndex((each) => each.image === image) === index,
    );
    for (const image of added) await this.#put(image);
    return { added: added.map(presentImage), skipped };
  }

  /** Takes it off the list; pods that run it go on. False when it was not on it. */
  async remove(id: string, caller: Acting): Promise<boolean> {
    const image = imageName(id);
    if (builtin.some((each) => each.image === image))
      throw new Refused(409, `Image ${image} is built in: it cannot be taken off the list.`);
    return retrying(async () => {
      const stored = await this.#stored(image);
      if (!stored || !this.#sees(stored.value, caller)) return false;
      requireMatch(caller.ifMatch, stored.version);
      this.#refuseOthers(stored.value.tenants, caller);
      await allowedImages(this.#ports.store).remove(image, stored);
      return true;
    });
  }

  /** Built-in images have one version for ever. */
  async #find(image: string): Promise<StoredImage | undefined> {
    const value = builtin.find((each) => each.image === image);
    return value ? { value, version: 0 } : this.#stored(image);
  }

  #sees(image: AllowedImage, caller: Caller): boolean {
    return isFor(caller.tenant, image) || caller.siteAdmin;
  }

  #stored(image: string): Promise<StoredImage | undefined> {
    return allowedImages(this.#ports.store).get(image);
  }

  #newImage(wanted: NewImage, index: number, caller: Caller): AllowedImage {
    const image = imageName(wanted.image);
    if (builtin.some((each) => each.image === image)) throw exists([image]);
    const tenants = wanted.tenants.length > 0 ? wanted.tenants : [caller.tenant];
    this.#refuseOthers(tenants, caller, index);
    const { username: addedBy } = caller;
    const createdAtMs = this.#ports.clock.nowMs();
    return { image, tenants, description: wanted.description, addedBy, createdAtMs };
  }

  /** Admins decide for their own tenant; those of the site's first tenant for all. */
  #refuseOthers(tenants: readonly string[], caller: Caller, index = 0): void {
    if (caller.siteAdmin) return;
    const other = tenants.find((tenant) => tenant !== caller.tenant);
    if (other === undefined) return;
    throw new Invalid([
      `body, tenants, ${index}: only admins of ${this.#settings.tenant} decide for ${other}`,
    ]);
  }

  async #put(image: AllowedImage): Promise<void> {
    try {
      await allowedImages(this.#ports.store).put(image.image, image, 'absent');
    } catch (error) {
      if (error instanceof WriteConflict) throw exists([image.image]);
      throw error;
    }
  }
}

const isFor = (tenant: string, { tenants }: AllowedImage): boolean =>
  tenants.includes(tenant) || tenants.includes('*');

const exists = (images: readonly string[]): Refused =>
  new Refused(409, `On the list already: ${images.join(', ')}. Nothing was added.`);

const presentImage = (image: AllowedImage): WireImage => ({
  image: image.image,
  tenants: image.tenants,
  description: image.description,
  creation_ts: timestamp(image.createdAtMs),
  added_by: image.addedBy,
});
