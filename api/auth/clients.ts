import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { Store } from '#contracts/store.ts';
import { collection, WriteConflict } from '#contracts/store.ts';
import { Refused } from '../errors.ts';
import { timestamp, zTime } from '../times.ts';
import type { Caller } from './caller.ts';
import { hashPassword, passwordMatches, zPasswordHash } from './passwords.ts';

/** OAuth clients (RFC 6749, 2): programs that users log in to with us. */

const zStoredClient = z.strictObject({
  clientId: z.string(),
  tenant: z.string(),
  owner: z.string(),
  key: zPasswordHash,
  callbackUrl: z.string(),
  displayName: z.string(),
  description: z.string(),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
});
export type StoredClient = z.infer<typeof zStoredClient>;

const clients = (store: Store) => collection(store, 'oauth-clients', zStoredClient);
const clientKey = (tenant: string, id: string): string => `${tenant}/${id}`;

/** https, or http of this machine as programs on a desk have it (RFC 8252, 7.3); nothing to hide in. */
function isCallback(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, hash, username, password } = new URL(text);
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  const secure = protocol === 'https:' || (protocol === 'http:' && local);
  return secure && hash === '' && !text.includes('#') && username === '' && password === '';
}

const fields = {
  callback_url: z
    .string()
    .max(2000, 'is longer than 2000')
    .refine(isCallback, 'must be an https URL (http for localhost) without a fragment'),
  display_name: z.string().max(255, 'is longer than 255'),
  description: z.string().max(255, 'is longer than 255'),
};

export const zNewClient = z
  .strictObject({
    client_id: z
      .string()
      .regex(/^[\w.-]{3,80}$/, 'must have 3 to 80 letters, digits, dots, hyphens and underscores')
      .optional()
      .describe('Made up when it is left out.'),
    client_key: z
      .string()
      .regex(/^[\u0021-\u007e]{16,128}$/, 'must have 16 to 128 characters, ASCII without spaces')
      .optional()
      .describe('Made up when it is left out. It is shown in this answer and never again.'),
    callback_url: fields.callback_url,
    display_name: fields.display_name.default(''),
    description: fields.description.default(''),
  })
  .meta({
    examples: [{ client_id: 'notebooks', callback_url: 'https://app.example.org/callback' }],
  });
type NewClient = z.infer<typeof zNewClient>;

export const zUpdateClient = z
  .strictObject(fields)
  .partial()
  .meta({ examples: [{ display_name: 'Notebooks' }] });
type UpdateClient = z.infer<typeof zUpdateClient>;

export const zClient = z
  .strictObject({
    client_id: z.string(),
    client_key: z.string().optional().describe('Only where it was just made.'),
    owner: z.string(),
    callback_url: z.string(),
    display_name: z.string(),
    description: z.string(),
    tenant_id: z.string(),
    create_time: zTime,
    last_update_time: zTime,
  })
  .meta({ id: 'Client' });
type WireClient = z.infer<typeof zClient>;

interface ClientPorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}

/** The operations on clients: each belongs to the user who made it; admins see all. */
export class Clients {
  readonly #ports: ClientPorts;

  constructor(ports: ClientPorts) {
    this.#ports = ports;
  }

  async list(caller: Caller): Promise<WireClient[]> {
    const { documents } = await clients(this.#ports.store).list();
    return documents
      .map(({ value }) => value)
      .filter((client) => isOf(client, caller))
      .map(presentClient);
  }

  async add(body: NewClient, caller: Caller): Promise<WireClient> {
    const { store, clock, random } = this.#ports;
    const clientId = body.client_id ?? random.bytes(8).toString('hex');
    const key = body.client_key ?? random.bytes(24).toString('base64url');
    const client: StoredClient = {
      clientId,
      tenant: caller.tenant,
      owner: caller.username,
      key: await hashPassword(key, random.bytes(16)),
      callbackUrl: body.callback_url,
      displayName: body.display_name,
      description: body.description,
      createdAtMs: clock.nowMs(),
      updatedAtMs: clock.nowMs(),
    };
    try {
      await clients(store).put(clientKey(caller.tenant, clientId), client, 'absent');
    } catch (error) {
      if (!(error instanceof WriteConflict)) throw error;
      throw new Refused(409, `Client with client_id '${clientId}' already exists, choose another.`);
    }
    return { ...presentClient(client), client_key: key };
  }

  async get(id: string, caller: Caller): Promise<WireClient> {
    return presentClient(await this.#owned(id, caller));
  }

  async update(id: string, body: UpdateClient, caller: Caller): Promise<WireClient> {
    const client = await this.#owned(id, caller);
    const next = {
      ...client,
      callbackUrl: body.callback_url ?? client.callbackUrl,
      displayName: body.display_name ?? client.displayName,
      description: body.description ?? client.description,
      updatedAtMs: this.#ports.clock.nowMs(),
    };
    await clients(this.#ports.store).put(clientKey(client.tenant, id), next, 'anything');
    return presentClient(next);
  }

  async remove(id: string, caller: Caller): Promise<void> {
    const client = await this.#owned(id, caller);
    await clients(this.#ports.store).remove(clientKey(client.tenant, id), 'anything');
  }

  async find(tenant: string, id: string): Promise<StoredClient | undefined> {
    return (await clients(this.#ports.store).get(clientKey(tenant, id)))?.value;
  }

  /** The client when the key is its own. Throws `Refused`. */
  async authenticate(tenant: string, id: string, key: string): Promise<StoredClient> {
    const client = await this.find(tenant, id);
    if (!client || !(await passwordMatches(key, client.key)))
      throw new Refused(401, 'Invalid client credentials.');
    return client;
  }

  /** Others' clients are not even said to exist. */
  async #owned(id: string, caller: Caller): Promise<StoredClient> {
    const client = await this.find(caller.tenant, id);
    if (!client || !isOf(client, caller))
      throw new Refused(404, `Client with identifier client_id: '${id}' not found`);
    return client;
  }
}

const isOf = (client: StoredClient, caller: Caller): boolean =>
  client.tenant === caller.tenant && (caller.admin || client.owner === caller.username);

const presentClient = (client: StoredClient): WireClient => ({
  client_id: client.clientId,
  owner: client.owner,
  callback_url: client.callbackUrl,
  display_name: client.displayName,
  description: client.description,
  tenant_id: client.tenant,
  create_time: timestamp(client.createdAtMs),
  last_update_time: timestamp(client.updatedAtMs),
});
