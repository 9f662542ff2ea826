import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import type { Clients } from './clients.ts';
import { zClient, zNewClient, zUpdateClient } from './clients.ts';

const tags = ['authenticator'];
const params = z.object({ client_id: z.string() });
const url = '/v3/oauth2/clients';

export function clientRoutes(app: App, clients: Clients): void {
  collectionRoutes(app, clients);
  clientRoute(app, clients);
}

function collectionRoutes(app: App, clients: Clients): void {
  app.get(
    url,
    {
      config: { access: 'user' },
      schema: {
        operationId: 'list_clients',
        tags,
        summary: 'My OAuth clients',
        response: answers(z.array(zClient)),
      },
    },
    async (request) =>
      success(await clients.list(actingOf(request)), 'Clients retrieved successfully.'),
  );
  app.post(
    url,
    {
      config: { access: 'user' },
      schema: {
        operationId: 'create_client',
        tags,
        summary: 'Make an OAuth client, to which users can log in',
        body: zNewClient,
        response: answers(zClient),
      },
    },
    async (request, reply) => {
      void reply.header('cache-control', 'no-store');
      const client = await clients.add(request.body, actingOf(request));
      return success(client, 'Client created successfully.');
    },
  );
}

function clientRoute(app: App, clients: Clients): void {
  const one = `${url}/:client_id`;
  app.get(
    one,
    {
      config: { access: 'user' },
      schema: {
        operationId: 'get_client',
        tags,
        summary: 'One OAuth client of mine',
        params,
        response: answers(zClient),
      },
    },
    async (request) => {
      const client = await clients.get(request.params.client_id, actingOf(request));
      return success(client, 'Client retrieved successfully.');
    },
  );
  app.put(
    one,
    {
      config: { access: 'user' },
      schema: {
        operationId: 'update_client',
        tags,
        summary: 'Change an OAuth client of mine',
        params,
        body: zUpdateClient,
        response: answers(zClient),
      },
    },
    async (request) => {
      const { client_id: id } = request.params;
      const client = await clients.update(id, request.body, actingOf(request));
      return success(client, 'Client updated successfully.');
    },
  );
  app.delete(
    one,
    {
      config: { access: 'user' },
      schema: {
        operationId: 'delete_client',
        tags,
        summary: 'Delete an OAuth client of mine',
        params,
        response: answers(z.literal('')),
      },
    },
    async (request) => {
      await clients.remove(request.params.client_id, actingOf(request));
      return success('' as const, 'Client successfully deleted.');
    },
  );
}
