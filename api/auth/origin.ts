import type { FastifyRequest } from 'fastify';

/** Where the client found us: what tenants and tokens name as their base. */
export const originOf = (request: FastifyRequest): string =>
  `${request.protocol}://${request.host}`;

/** The `iss` of our tokens. */
export const tokenIssuer = (request: FastifyRequest): string => `${originOf(request)}/v3/tokens`;
