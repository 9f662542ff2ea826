/**
 * Examples for every body, parameter and answer of the OpenAPI document, composed from its schemas:
 * from their own `examples`, from what they leave no choice in, and by names that mean the same
 * everywhere on the wire.
 */

/** What fields of these names look like, unless their schema says it. */
const named: Readonly<Record<string, unknown>> = {
  access_token: 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGFAZGVmYXVsdCJ9.c2lnbmF0dXJl',
  action_logs: ["26/01/31 12:00: 'ada' created the pod, set to ON"],
  added_by: 'ada',
  archive_message: '',
  arguments: ['-c', 'max_connections=50'],
  authenticator: 'https://podgate.example.org/v3/oauth2',
  base_url: 'https://podgate.example.org',
  callback_url: 'https://app.example.org/callback',
  client_id: 'notebooks',
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  command: ['docker-entrypoint.sh'],
  commit_message: 'Version 17.',
  compute_queue: 'default',
  cpu_limit: 2000,
  cpu_request: 250,
  cursor: 'WyItY3JlYXRpb25fdHMiLFsxNzY5ODYwODAwMDAwLCJteWRiIl1d',
  description: 'The database of the course.',
  display_name: 'Notebooks',
  dn: 'cn=ada',
  email: '',
  environment_variables: { POSTGRES_DB: 'course' },
  expires_at: '2026-01-31T16:00:00.000000',
  expires_in: 14_400,
  given_name: '',
  gpus: 0,
  host: 'mydb.pods.example.org',
  image: 'postgres',
  image_id: 'postgres',
  jti: '0b9c1f2e-6f0e-4a53-9c0a-1d8a3c1f5b7e',
  last_name: '',
  limit: 50,
  logs: 'database system is ready to accept connections\n',
  mem_limit: 3072,
  mem_request: 256,
  metatags: ['database'],
  name: 'ada',
  network: 'default',
  new_password: 'incorrect donkey capacitor pin',
  old_password: 'correct horse battery staple',
  owner: 'ada',
  password: 'correct horse battery staple',
  path: 'notebooks/first.ipynb',
  pod: 'mydb',
  pod_id: 'mydb',
  pod_id_net: 'mydb',
  port: 5432,
  public_key: '-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n',
  redirect_uri: 'https://app.example.org/callback',
  refresh_token: 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGFAZGVmYXVsdCJ9.c2lnbmF0dXJl',
  request_id: '0b9c1f2e-6f0e-4a53-9c0a-1d8a3c1f5b7e',
  search: 'course',
  services: ['pods'],
  site_id: 'podgate',
  snapshot_id: 'mysnapshot',
  sort: '-creation_ts',
  state: 'af0ifjsldkj',
  tag: 'latest',
  tag_id: 'latest',
  tag_timestamp: 'latest@2026-01-31-12:00:00',
  template: 'postgres:latest@2026-01-31-12:00:00',
  template_id: 'postgres',
  tenant: 'default',
  tenant_id: 'default',
  tenants: ['*'],
  time_to_stop_default: 43_200,
  time_to_stop_instance: null,
  token: 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGFAZGVmYXVsdCJ9.c2lnbmF0dXJl',
  token_service: 'https://podgate.example.org/v3/tokens',
  url: 'mydb.pods.example.org',
  user: 'bob',
  user_password: 'Xq3v7Jm0aZ5tYc2LrW8nB1kD6sPfGh',
  user_username: 'podsmydb',
  username: 'ada',
  volume_id: 'myvolume',
  volume_mounts: {},
};

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const objectIn = (value: unknown, key: string): Json => {
  const inner = isObject(value) ? value[key] : undefined;
  return isObject(inner) ? inner : {};
};
const listIn = (value: Json, key: string): readonly unknown[] => {
  const inner = value[key];
  return Array.isArray(inner) ? inner : [];
};

/** Puts an example where a parameter or a media type has none; changes the document it is given. */
export function addExamples<Document extends object>(document: Document): Document {
  const schemas = objectIn(objectIn(document, 'components'), 'schemas');
  const operations = Object.values(objectIn(document, 'paths')).flatMap((path) =>
    Object.values(isObject(path) ? path : {}).filter(isObject),
  );
  for (const operation of operations) {
    const bodies = [operation['requestBody'], ...Object.values(objectIn(operation, 'responses'))];
    const media = bodies.flatMap((body) => Object.values(objectIn(body, 'content')));
    for (const each of [...listIn(operation, 'parameters'), ...media]) {
      if (!isObject(each) || 'example' in each || 'examples' in each) continue;
      const example = exampleOf(objectIn(each, 'schema'), String(each['name']), schemas);
      Object.assign(each, { example });
    }
  }
  return document;
}

/** What a field of this name may hold. */
function exampleOf(schema: Json, name: string, schemas: Json): unknown {
  if (typeof schema['$ref'] === 'string') {
    const target = schema['$ref'].replace('#/components/schemas/', '');
    return exampleOf(objectIn(schemas, target), name, schemas);
  }
  const [own] = listIn(schema, 'examples');
  if (own !== undefined) return own;
  if ('const' in schema) return schema['const'];
  const [choice] = [
    ...listIn(schema, 'enum'),
    ...listIn(schema, 'anyOf'),
    ...listIn(schema, 'oneOf'),
  ];
  if (isObject(choice)) return exampleOf(choice, name, schemas);
  if (choice !== undefined) return choice;
  // The answer with tokens has objects that are called as the text in them.
  if (Object.hasOwn(named, name) && !('properties' in schema)) return named[name];
  if ('default' in schema) return schema['default'];
  return composed(schema, name, schemas);
}

function composed(schema: Json, name: string, schemas: Json): unknown {
  const [type] = [schema['type']].flat();
  if (type === 'array') return [exampleOf(objectIn(schema, 'items'), name, schemas)];
  if (type === 'object') return objectOf(schema, schemas);
  if (type === 'boolean') return true;
  if (type === 'integer' || type === 'number') return Math.max(1, Number(schema['minimum'] ?? 1));
  return type === 'null' ? null : 'text';
}

function objectOf(schema: Json, schemas: Json): unknown {
  const fields = Object.entries(objectIn(schema, 'properties'))
    .filter(([name]) => listIn(schema, 'required').includes(name))
    .map(
      ([name, field]) => [name, exampleOf(isObject(field) ? field : {}, name, schemas)] as const,
    );
  const more = schema['additionalProperties'];
  if (!isObject(more) || Object.keys(more).length === 0) return Object.fromEntries(fields);
  const key = String(exampleOf(objectIn(schema, 'propertyNames'), '', schemas));
  return Object.fromEntries([...fields, [key, exampleOf(more, key, schemas)]]);
}
