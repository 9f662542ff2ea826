import type { Site } from '#contracts/hosts.ts';
import type { PublicAuthority } from '../../certs/acme/authority.ts';
import { noPreflight, publicPreflight } from '../../certs/acme/preflight.ts';
import type { PublicTerms } from '../../certs/certs.ts';
import { Rfc2136 } from '../../certs/dns/rfc2136/provider.ts';
import type { Limits } from '../../certs/limits/budget.ts';
import { letsEncryptLimits, noLimits } from '../../certs/limits/budget.ts';
import type { AcmeChoice, CertsChoice } from '../settings/certs.ts';
import { BadSetting } from '../settings/group.ts';
import { readPem } from './read-pem.ts';
import type { System } from './system.ts';

const hourMs = 60 * 60 * 1000;

/** The authorities that are chosen, as certs takes them. Throws `BadSetting`. */
export function publicTerms(
  { certs: choice, site }: { readonly certs: CertsChoice | undefined; readonly site: Site },
  system: System,
): PublicTerms | undefined {
  if (!choice) return undefined;
  const of = (each: AcmeChoice): PublicAuthority => authorityOf(each, choice);
  const { preflight, mode, dns } = choice;
  if (dns && !`.${site.domain}`.endsWith(`.${dns.zone}`)) {
    throw new BadSetting(
      `PODGATE_DNS_RFC2136_ZONE is "${dns.zone}", in which PODGATE_DOMAIN "${site.domain}" is not`,
    );
  }
  return {
    mode,
    authorities: { real: choice.real.map(of), staging: choice.staging && of(choice.staging) },
    preflight:
      preflight === 'off'
        ? noPreflight
        : publicPreflight(preflight === 'on' ? undefined : preflight),
    dns: dns && new Rfc2136(dns, system),
  };
}

function authorityOf(
  { directoryUrl, ca, binding }: AcmeChoice,
  choice: CertsChoice,
): PublicAuthority {
  return {
    name: new URL(directoryUrl).host,
    directoryUrl,
    roots: ca && readPem(ca.setting, ca.file),
    contact: choice.email === undefined ? [] : [`mailto:${choice.email}`],
    binding,
    profile: choice.profile,
    limits: limitsOf(directoryUrl, choice),
  };
}

/** What is published for it, or what the operator was granted; 0 means without limit. */
function limitsOf(directoryUrl: string, choice: CertsChoice): Limits {
  const published = new URL(directoryUrl).host === 'acme-v02.api.letsencrypt.org';
  const known: Limits = published ? letsEncryptLimits : noLimits;
  return {
    ...known,
    orders: granted(choice.ordersPer3Hours, 3 * hourMs, known.orders),
    certificates: granted(choice.certificatesPerWeek, 7 * 24 * hourMs, known.certificates),
  };
}

function granted(
  size: number | undefined,
  spanMs: number,
  otherwise: Limits['orders'],
): Limits['orders'] {
  if (size === undefined) return otherwise;
  return size === 0 ? undefined : { size, refillMs: Math.ceil(spanMs / size) };
}
