import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { podKey } from '#contracts/pod.ts';
import type { Acting } from '../access/declared.ts';
import { actingNow, actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { zWireAction } from './actions.ts';
import type { LogQuery } from './log-query.ts';
import { zLogQuery } from './log-query.ts';
import type { PodOutput } from './output.ts';
import { zLogs } from './schemas.ts';

const params = z.object({ pod_id: z.string() });
const tags = ['pods'];

const zEvents = z
  .strictObject({
    event: z.enum(['message', 'gap', 'end']),
    data: z.string(),
    id: z.string().optional().describe('Of messages: where to go on, as `Last-Event-ID`.'),
  })
  .meta({ examples: [{ event: 'message', data: 'ready\n', id: 'mk2h7ls0-128' }] })
  .describe(
    'One event as clients get it. The `data` of all messages put together is the output; a carriage ' +
      'return arrives as a newline. Event `gap`: output in between is no longer kept. Event `end`: ' +
      'nothing more will come, for the pod is `deleted` or the caller is `refused`. A stream that ends ' +
      'without it can be resumed.',
  );

const logAnswers = answers(zLogs);

/** What the program writes, and what is done to the pod. */
export function outputRoutes(app: App, output: PodOutput): void {
  app.addHook('preClose', () => output.followers.close());
  app.get(
    '/v3/pods/:pod_id/logs',
    {
      config: { access: 'READ on pod' },
      schema: {
        operationId: 'get_pod_logs',
        tags,
        summary: 'Output and actions; with `follow` the output as it is written',
        params,
        querystring: zLogQuery,
        headers: z.object({
          'last-event-id': z
            .string()
            .meta({ examples: ['mk2h7ls0-128'] })
            .optional()
            .describe(
              'With `follow`: the `id` of the last event there was; the answer goes on after it.',
            ),
        }),
        response: {
          ...logAnswers,
          200: {
            description: 'The result, in its envelope; with `follow` server-sent events.',
            content: {
              'application/json': { schema: logAnswers[200] },
              'text/event-stream': { schema: zEvents },
            },
          },
        },
      },
    },
    async (request, reply) => {
      if (request.query.follow) return followLogs(request, reply, output);
      return success(
        await output.logs(request.params.pod_id, request.query, actingOf(request)),
        'Pod logs retrieved successfully.',
      );
    },
  );
  app.get(
    '/v3/pods/:pod_id/actions',
    {
      config: { access: 'READ on pod' },
      schema: {
        operationId: 'list_pod_actions',
        tags,
        summary: 'What was done to the pod, by whom and by which request; the newest of them',
        params,
        response: answers(z.array(zWireAction)),
      },
    },
    async (request) =>
      success(
        await output.actions(request.params.pod_id, actingOf(request)),
        'Pod actions retrieved successfully.',
      ),
  );
}

async function followLogs(
  request: FastifyRequest<{ Params: z.infer<typeof params>; Querystring: LogQuery }>,
  reply: FastifyReply,
  output: PodOutput,
): Promise<FastifyReply> {
  const caller = actingOf(request);
  const lastEventId = request.headers['last-event-id']?.toString();
  const again = (): Promise<Acting> => actingNow(request);
  const query = { ...request.query, lastEventId };
  const following = await output.following(request.params.pod_id, query, { caller, again });
  // Events are about now, and on their way they are neither kept nor collected.
  void reply.type('text/event-stream').header('cache-control', 'no-store');
  if (request.method === 'HEAD') return reply.send('');
  const leave = output.followers.enter(podKey(caller.tenant, caller.username));
  const gone = new AbortController();
  const end = (): void => {
    leave();
    gone.abort();
  };
  if (reply.raw.closed) end();
  else reply.raw.once('close', end);
  return reply.send(output.followers.stream(following, gone.signal));
}
