import { exportJWK, importSPKI } from 'jose';
import type { App } from '../app.ts';
import { issuerOf } from './authorize-routes.ts';
import type { Identities } from './identity.ts';

/** What clients read to find the endpoints and to verify tokens: plain documents, no envelope. */
export function discoveryRoutes(app: App, identities: Identities): void {
  const hidden = { config: { access: 'anybody' }, schema: { hide: true } } as const;
  // RFC 8414.
  app.get('/v3/oauth2/.well-known/oauth-authorization-server', hidden, async (request) => {
    const issuer = issuerOf(request);
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/tokens`,
      revocation_endpoint: `${issuer}/tokens/revoke`,
      userinfo_endpoint: `${issuer}/userinfo`,
      jwks_uri: `${issuer}/jwks`,
      response_types_supported: ['code'],
      grant_types_supported: ['authorization_code', 'refresh_token', 'password'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    };
  });
  // RFC 7517.
  app.get('/v3/oauth2/jwks', hidden, async (request) => {
    const { tokens, tenant } = await identities.at(request);
    const key = await exportJWK(await importSPKI(tokens.publicKey, 'RS256', { extractable: true }));
    return { keys: [{ ...key, alg: 'RS256', use: 'sig', kid: tenant }] };
  });
}
