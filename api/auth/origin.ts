import type { FastifyRequest } from 'fastify';

/** Where the client found us: what tenants and tokens name as their base. */
export const originOf = (request: FastifyRequest): string =>
  `${request.protocol}://${request.host}`;
