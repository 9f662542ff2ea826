import { z } from 'zod';
import type { Collection, Store } from './store.ts';
import { collection } from './store.ts';

/**
 * Images that Podgate brings along. They run as processes on the controller's machine, on every
 * installation; all other images need a container engine or Kubernetes.
 */
export const builtinImages = {
  /** The example program: HTTP, WebSocket, SSE, upload and download. */
  hello: 'podgate/hello',
  /** Runs `command` and `arguments` of the pod on the host: for admins only. */
  process: 'podgate/process',
} as const;

/** The image without its tag, as allow lists compare it. Registry ports and digests are kept. */
export function imageName(image: string): string {
  const name = image.split('@')[0] ?? image;
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}

/** An image that pods of some tenants may run, whatever its tag. One list for all tenants. */
const zAllowedImage = z.strictObject({
  /** As `imageName` gives it; the key. */
  image: z.string(),
  /** `*` stands for every tenant. */
  tenants: z.array(z.string()),
  description: z.string(),
  addedBy: z.string(),
  createdAtMs: z.number(),
});
export type AllowedImage = z.infer<typeof zAllowedImage>;

export const allowedImages = (store: Store): Collection<AllowedImage> =>
  collection(store, 'images', zAllowedImage);
