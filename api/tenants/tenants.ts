import type { Site } from '#contracts/hosts.ts';
import { certificateTerms, siteTermsId } from '#contracts/certificate-state.ts';
import { domainOf, reservedTenant } from '#contracts/hosts.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Store } from '#contracts/store.ts';
import { WriteConflict } from '#contracts/store.ts';
import type { Tenant } from '#contracts/tenant.ts';
import { tenants } from '#contracts/tenant.ts';
import { Invalid, Refused } from '../errors.ts';
import { retrying } from '../retrying.ts';

interface TenantPorts {
  readonly store: Store;
  readonly clock: Clock;
}

/** What may be said of a tenant after it was made. */
export type TenantSettings = Pick<
  Tenant,
  'description' | 'active' | 'issuers' | 'admins' | 'allowedUsers' | 'certificateMode'
>;

/** The tenants of the site: the first, which the operator's settings name, and those made since. */
export class Tenants {
  readonly site: Site;
  readonly #ports: TenantPorts;

  constructor(ports: TenantPorts, site: Site) {
    this.#ports = ports;
    this.site = site;
  }

  /** The id of the first, whose admins decide for the whole site. */
  get first(): string {
    return this.site.tenant;
  }

  domainOf(id: string): string {
    return domainOf(id, this.site);
  }

  async find(id: string): Promise<Tenant | undefined> {
    const stored = (await tenants(this.#ports.store).get(id))?.value;
    return stored ?? (id === this.first ? this.#unrecorded() : undefined);
  }

  /** Throws `Refused` 404. */
  async get(id: string): Promise<Tenant> {
    const found = await this.find(id);
    if (!found) throw new Refused(404, `Tenant with identifier tenant_id: '${id}' not found`);
    return found;
  }

  /** The first one first. */
  async list(): Promise<Tenant[]> {
    const { documents } = await tenants(this.#ports.store).list();
    const others = documents.map(({ value }) => value);
    return [
      await this.get(this.first),
      ...others.filter(({ tenantId }) => tenantId !== this.first),
    ];
  }

  /** Whose domain this host is; undefined: nobody's, such as an address of the machine. */
  async withDomain(host: string): Promise<Tenant | undefined> {
    const { domain } = this.site;
    const name = host.toLowerCase();
    if (name === domain) return this.find(this.first);
    const label = name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : '';
    return label === '' || label === this.first ? undefined : this.find(label);
  }

  /** Whom a request without a token is for: whose domain it names, else the first. */
  async at(host: string): Promise<Tenant> {
    return (await this.withDomain(host)) ?? this.get(this.first);
  }

  /** Throws `Refused` 409 when there is one, `Invalid` when the name cannot be had. */
  async add(id: string, settings: TenantSettings, createdBy: string): Promise<Tenant> {
    if (id === reservedTenant) throw new Invalid([`body, tenant_id: ${id} is reserved`]);
    await this.#checkMode(settings);
    const nowMs = this.#ports.clock.nowMs();
    const tenant = {
      ...settings,
      tenantId: id,
      createdBy,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    };
    try {
      if (id === this.first) throw new WriteConflict('it is the first');
      await tenants(this.#ports.store).put(id, tenant, 'absent');
    } catch (error) {
      if (!(error instanceof WriteConflict)) throw error;
      throw new Refused(409, `Tenant with tenant_id '${id}' already exists, choose another.`);
    }
    return tenant;
  }

  /** Throws `Refused` 404, or 409 where nobody would be let in to undo it. */
  async update(id: string, settings: Partial<TenantSettings>): Promise<Tenant> {
    if (id === this.first && settings.active === false)
      throw new Refused(
        409,
        'The first tenant cannot be inactive: its admins decide for the site.',
      );
    await this.#checkMode(settings);
    return retrying(async () => {
      const stored = await tenants(this.#ports.store).get(id);
      const tenant = {
        ...(stored?.value ?? (await this.get(id))),
        ...settings,
        updatedAtMs: this.#ports.clock.nowMs(),
      };
      const expect = stored ? { version: stored.version } : ('absent' as const);
      await tenants(this.#ports.store).put(id, tenant, expect);
      return tenant;
    });
  }

  /** Throws `Invalid` when the operator's settings do not allow it, `Refused` 503 when nobody knows. */
  async #checkMode({ certificateMode: mode }: Partial<TenantSettings>): Promise<void> {
    if (mode === undefined) return;
    const terms = (await certificateTerms(this.#ports.store).get(siteTermsId))?.value;
    if (!terms)
      throw new Refused(503, 'certs has not started yet, which knows the modes: try again later');
    if (terms.possible.includes(mode)) return;
    const lacking = terms.possible.includes('per-pod')
      ? 'needs a wildcard, for which the operator must set PODGATE_DNS_PROVIDER'
      : 'needs a public authority: the operator must set PODGATE_ACME_DIRECTORY';
    const choice = terms.possible.join(' or ');
    throw new Invalid([`body, certificate_mode: ${mode} ${lacking}; here it can be ${choice}`]);
  }

  #unrecorded(): Tenant {
    return {
      tenantId: this.first,
      description: '',
      active: true,
      issuers: [],
      admins: [],
      allowedUsers: null,
      createdBy: 'podgate',
      createdAtMs: 0,
      updatedAtMs: 0,
    };
  }
}
