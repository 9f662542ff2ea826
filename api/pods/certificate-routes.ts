import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import type { PodCertificates } from './certificate.ts';
import { zPodCertificate } from './certificate-schema.ts';

const params = z.object({ pod_id: z.string() });
const tags = ['pods'];

export function certificateRoutes(app: App, certificates: PodCertificates): void {
  app.get(
    '/v3/pods/:pod_id/certificate',
    {
      config: { access: 'READ on pod' },
      schema: {
        operationId: 'get_pod_certificate',
        tags,
        summary: 'Its certificate: whose, until when, and what becomes of it',
        params,
        response: answers(zPodCertificate),
      },
    },
    async (request) =>
      success(
        await certificates.read(request.params.pod_id, actingOf(request)),
        'Pod certificate retrieved successfully.',
      ),
  );
  app.post(
    '/v3/pods/:pod_id/certificate/rotate',
    {
      config: { access: 'ADMIN on pod' },
      schema: {
        operationId: 'rotate_pod_certificate',
        tags,
        summary: 'Ask for a new key and certificate; the one in use serves until they are there',
        params,
        response: answers(zPodCertificate),
      },
    },
    async (request) =>
      success(
        await certificates.rotate(request.params.pod_id, actingOf(request)),
        'Pod certificate is being replaced.',
      ),
  );
}
