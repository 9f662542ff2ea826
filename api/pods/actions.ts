import { z } from 'zod';
import type { Action } from '#contracts/pod.ts';
import { actionKinds, podStates, zActor } from '#contracts/pod.ts';
import { timestamp, zTime } from '../times.ts';

/** The action log of a pod as the wire shows it, oldest first: as lines, and for programs. */

export const zWireAction = z.strictObject({
  ts: zTime,
  kind: z.enum(actionKinds).nullable().describe('What was done; null for a line from long ago.'),
  actor: zActor.nullable().describe('Who did it; the controller is no user.'),
  request_id: z.string().nullable().describe('The X-Request-Id of the request that did it.'),
  status: z.enum(podStates).nullable().describe('Of `set_status`: the status from then on.'),
  text: z.string().describe('The same for people, as `action_logs` of the logs says it.'),
});
export type WireAction = z.infer<typeof zWireAction>;

type ActionLog = readonly Action[];

const inOrder = (logs: readonly ActionLog[]): Action[] =>
  logs.flat().toSorted((a, b) => a.atMs - b.atMs);

/** Lines `YY/MM/DD HH:MM: text`. */
export const actionLines = (...logs: readonly ActionLog[]): string[] =>
  inOrder(logs).map(({ atMs, text }) => {
    const iso = new Date(atMs).toISOString();
    return `${iso.slice(2, 10).replaceAll('-', '/')} ${iso.slice(11, 16)}: ${text}`;
  });

export const presentActions = (...logs: readonly ActionLog[]): WireAction[] =>
  inOrder(logs).map(({ atMs, text, kind, actor, requestId, status }) => ({
    ts: timestamp(atMs),
    kind: kind ?? null,
    actor: actor ?? null,
    request_id: requestId ?? null,
    status: status ?? null,
    text,
  }));
