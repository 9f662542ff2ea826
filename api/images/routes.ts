import { z } from 'zod';
import { imageName } from '#contracts/image.ts';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { bodyBytesMax } from '../body-limits.ts';
import { isTagKnown, notModified } from '../entity-tag.ts';
import { answers, notFoundWith200, success } from '../envelope.ts';
import type { Listing } from '../listing.ts';
import { listFields, pageOf } from '../listing.ts';
import { zFlag } from '../validation.ts';
import { newImagesMax, zImage, zNewImage } from './schemas.ts';
import type { WireImage } from './schemas.ts';
import type { ImageService } from './service.ts';

const tags = ['images'];
// Ids have slashes: they are everything that follows. The document names them `image_id`.
const params = z.object({ '*': z.string().min(1, 'is empty, name an image') });

const imageListing: Listing<WireImage> = {
  id: ({ image }) => image,
  texts: ({ image, description }) => [image, description],
  keys: { image: ({ image }) => image, creation_ts: (image) => image.creation_ts },
};

/** The wire says what was cut off, since a list holds names without tags. */
const cutNotice = (image: string): Record<string, unknown> =>
  imageName(image) === image
    ? {}
    : { notice: `The tag of ${image} was cut off: every tag of ${imageName(image)} may be run.` };

const missing = (id: string) => notFoundWith200(`Image with id ${id} not found.`);

export function imageRoutes(app: App, images: ImageService): void {
  listRoute(app, images);
  addRoutes(app, images);
  imageRoute(app, images);
}

function listRoute(app: App, images: ImageService): void {
  app.get(
    '/v3/pods/images',
    {
      config: { access: 'user' },
      schema: {
        operationId: 'get_images',
        tags,
        summary: 'The images that pods may run',
        querystring: z.strictObject(listFields),
        response: answers(z.array(zImage)),
      },
    },
    async (request) => {
      const listed = await images.list(actingOf(request));
      const { items, metadata } = pageOf(listed, imageListing, request.query);
      return success(items, 'Images retrieved successfully.', metadata);
    },
  );
}

function addRoutes(app: App, images: ImageService): void {
  app.post(
    '/v3/pods/images',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'add_image',
        tags,
        summary: 'Let pods run an image',
        body: zNewImage,
        response: answers(zImage.nullable()),
      },
    },
    async (request) => {
      const { added } = await images.add([request.body], actingOf(request), false);
      const [image = null] = added;
      return success(image, 'Image added successfully.', cutNotice(request.body.image));
    },
  );
  app.post(
    '/v3/pods/images/bulk',
    {
      bodyLimit: bodyBytesMax.images,
      config: { access: 'admin' },
      schema: {
        operationId: 'add_images',
        tags,
        summary: 'Let pods run several images: all are added, or none',
        querystring: z.strictObject({
          skip_duplicates: zFlag.default(false),
        }),
        body: z
          .array(zNewImage)
          .min(1, 'is empty, name images')
          .max(newImagesMax, `has more than ${newImagesMax} entries`),
        response: answers(z.array(zImage)),
      },
    },
    async (request) => {
      const skip = request.query.skip_duplicates;
      const { added, skipped } = await images.add(request.body, actingOf(request), skip);
      const metadata = skipped.length > 0 ? { skipped } : {};
      return success(added, 'Images added successfully.', metadata);
    },
  );
}

function imageRoute(app: App, images: ImageService): void {
  app.get(
    '/v3/pods/images/*',
    {
      config: { access: 'user', versioned: true },
      schema: {
        operationId: 'get_image',
        tags,
        summary: 'One image, with its ETag for If-None-Match and If-Match',
        params,
        response: { ...answers(zImage.nullable()), ...notModified },
      },
    },
    async (request, reply) => {
      const { '*': id } = request.params;
      const found = await images.find(id, actingOf(request));
      if (!found) return missing(id);
      if (isTagKnown(request, reply, found.tag)) return reply.code(304).send(null);
      return success(found.image, 'Image retrieved successfully.');
    },
  );
  app.delete(
    '/v3/pods/images/*',
    {
      config: { access: 'admin', versioned: true },
      schema: {
        operationId: 'delete_image',
        tags,
        summary: 'Let new pods no longer run an image',
        params,
        response: answers(z.string().nullable()),
      },
    },
    async (request) => {
      const { '*': id } = request.params;
      const removed = await images.remove(id, actingOf(request));
      return removed ? success(imageName(id), 'Image successfully deleted.') : missing(id);
    },
  );
}
