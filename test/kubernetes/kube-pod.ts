import { z } from 'zod';

/** What a node reads of a Pod. */
export const zKubePod = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    annotations: z.record(z.string(), z.string()).optional(),
    deletionTimestamp: z.string().optional(),
    deletionGracePeriodSeconds: z.int().optional(),
  }),
  spec: z.object({
    nodeName: z.string().optional(),
    containers: z.array(
      z.object({
        name: z.string(),
        image: z.string(),
        command: z.array(z.string()).optional(),
        args: z.array(z.string()).optional(),
        env: z.array(z.object({ name: z.string(), value: z.string().optional() })).optional(),
        envFrom: z
          .array(z.object({ secretRef: z.object({ name: z.string() }).optional() }))
          .optional(),
        readinessProbe: z.object({ tcpSocket: z.object({ port: z.int() }).optional() }).optional(),
      }),
    ),
  }),
  status: z.object({ phase: z.string().optional() }).optional(),
});
export type KubePod = z.infer<typeof zKubePod>;
