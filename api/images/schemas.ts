import { z } from 'zod';
import { imageName } from '#contracts/image.ts';
import { zTime } from '../times.ts';

/** The images of the wire: a list of names that pods may run. */

// A registry with a port, then names of a repository (OCI distribution, 1.1: "Pulling manifests").
const reference =
  /^(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::\d{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/;

const tag = /^:[\w][\w.-]{0,127}$/;

/** Whether this names an image, with or without tag and digest. */
function isReference(image: string): boolean {
  const [withTag = '', digest, ...more] = image.split('@');
  const name = imageName(withTag);
  const rest = withTag.slice(name.length);
  return (
    reference.test(name) &&
    (rest === '' || tag.test(rest)) &&
    (digest === undefined || /^sha256:[0-9a-f]{64}$/.test(digest)) &&
    more.length === 0
  );
}

const zImageReference = z
  .string('must be a string')
  .min(1, 'is empty, name an image')
  .max(512, 'must have at most 512 characters')
  .refine(isReference, 'must name an image, such as postgres:17 or registry.example.org/team/app');

const zTenants = z
  .array(
    z
      .string()
      .regex(/^(\*|[a-z][a-z0-9-]{0,62})$/, 'must be the id of a tenant, or * for every tenant'),
  )
  .max(100, 'has more than 100 entries');

export const zNewImage = z
  .strictObject({
    image: zImageReference,
    tenants: zTenants.default([]).describe('Who may run it; none named: your own tenant.'),
    description: z.string().max(255, 'must have at most 255 characters').default(''),
  })
  .meta({ examples: [{ image: 'postgres', description: 'The database.' }] });
export type NewImage = z.infer<typeof zNewImage>;

export const newImagesMax = 1000;

export const zImage = z
  .strictObject({
    image: z.string().describe('Without a tag: every tag of it may be run.'),
    tenants: z.array(z.string()),
    description: z.string(),
    creation_ts: zTime,
    added_by: z.string(),
  })
  .meta({ id: 'Image' });
export type WireImage = z.infer<typeof zImage>;
