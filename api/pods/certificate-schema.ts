import { z } from 'zod';
import { certificateModes, certificatePhases } from '#contracts/certificate-state.ts';
import { zTime } from '../times.ts';

/** The certificate of a pod, as the wire shows it. */

const zText = (example: string) =>
  z
    .string()
    .nullable()
    .meta({ examples: [example] });

export const zPodCertificate = z.strictObject({
  mode: z
    .enum(certificateModes)
    .describe(
      'own: from our authority; per-pod: from a public one; hybrid: the wildcard until that is there; wildcard: never one of its own, the rest is then about the wildcard.',
    ),
  phase: z.enum(certificatePhases).describe('active: it is in use, and no order is under way.'),
  hosts: z.array(z.string()).describe('Those it is good for; none while there is none.'),
  issuer: zText('CN=R11, O=Example Trust Services').describe('Who signed the one in use.'),
  authority: zText('acme.example.org').describe('Whom it is, or was, ordered from.'),
  profile: zText('tlsserver'),
  not_before_ts: zTime,
  not_after_ts: zTime,
  renewal: z
    .strictObject({ start_ts: zTime, end_ts: zTime, at_ts: zTime })
    .nullable()
    .describe('When it is replaced, and the window that this instant was chosen in.'),
  place_in_queue: z.int().nullable().describe('About how many are ordered before it and with it.'),
  failures: z.int().min(0).describe('Tries that failed since one succeeded.'),
  last_error: zText('the authority could not reach mydb.pods.example.org'),
  last_error_ts: zTime,
  next_attempt_ts: zTime,
  rotating: z.boolean().describe('A new key and certificate were asked for and are not there yet.'),
  warning: zText('expires within 3 days and was not renewed yet').describe(
    'What needs looking at; null: nothing.',
  ),
});
export type ShownCertificate = z.infer<typeof zPodCertificate>;
