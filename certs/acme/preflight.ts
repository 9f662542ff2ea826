import { Resolver } from 'node:dns/promises';
import { request } from 'node:http';
import { connect } from 'node:tls';
import type { Challenge } from '#contracts/challenge.ts';

const deadlineMs = 5_000;
const answerBytesMax = 4096; // a key authorization has about 90

/** What an authority would find, looked at before it looks: a failed validation counts. */
export interface Preflight {
  /** Why it would not find the answer to `challenge`, in words; undefined: it would. */
  answered(challenge: Challenge): Promise<string | undefined>;
  /** Why CAA records (RFC 8659) keep an authority of these identities from `host`. */
  forbidden(host: string, identities: readonly string[]): Promise<string | undefined>;
}

/** Believes everything: for networks that cannot see themselves from outside. */
export const noPreflight: Preflight = {
  answered: () => Promise.resolve(undefined),
  forbidden: () => Promise.resolve(undefined),
};

/** Looks as an authority does: by the public name, or at `address` where one is given. */
export function publicPreflight(address: string | undefined): Preflight {
  return {
    answered: async (challenge) => {
      const look = challenge.kind === 'http-01' ? readToken : readAlpn;
      try {
        return await look(challenge, address);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return `${challenge.host} cannot be reached as an authority would: ${reason}`;
      }
    },
    // An address that is given stands for names that this machine cannot resolve.
    forbidden: (host, identities) =>
      address === undefined ? caaProblem(host, identities, resolveCaa) : Promise.resolve(undefined),
  };
}

function readToken(challenge: Challenge, address: string | undefined): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const token = challenge.kind === 'http-01' ? challenge.token : '';
  const at = new URL(`http://${address ?? challenge.host}`);
  const call = request(
    {
      host: at.hostname,
      port: at.port === '' ? 80 : at.port,
      path: `/.well-known/acme-challenge/${token}`,
      headers: { host: challenge.host },
      agent: false, // a kept connection would show one gateway of many, again and again
      signal: AbortSignal.timeout(deadlineMs),
    },
    (answer) => {
      let text = '';
      answer.setEncoding('latin1').on('error', reject);
      answer.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > answerBytesMax) answer.destroy(new Error('it answers too much'));
      });
      answer.on('end', () => {
        const right = text.trim() === challenge.keyAuthorization;
        const found = `${challenge.host} answers another text (status ${answer.statusCode ?? 0})`;
        resolve(right ? undefined : `${found}: its address or a proxy leads elsewhere`);
      });
    },
  );
  call.on('error', reject).end();
  return promise;
}

function readAlpn(challenge: Challenge, address: string | undefined): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const at = new URL(`https://${address ?? challenge.host}`);
  const socket = connect({
    host: at.hostname,
    port: at.port === '' ? 443 : Number(at.port),
    servername: challenge.host,
    ALPNProtocols: ['acme-tls/1'],
    rejectUnauthorized: false,
    timeout: deadlineMs,
  });
  socket.on('error', reject);
  socket.on('timeout', () => socket.destroy(new Error('no answer in time')));
  socket.on('secureConnect', () => {
    const right = socket.alpnProtocol === 'acme-tls/1';
    resolve(right ? undefined : `${challenge.host} does not answer TLS-ALPN-01 on port 443`);
    socket.destroy();
  });
  return promise;
}

interface CaaRecord {
  readonly issue?: string | undefined;
  readonly issuewild?: string | undefined;
}

async function resolveCaa(name: string): Promise<readonly CaaRecord[]> {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  try {
    return await resolver.resolveCaa(name);
  } catch {
    // No records, or nobody knows: the authority will say.
    return [];
  }
}

/** The records of the closest name that has any decide (RFC 8659, 3). */
export async function caaProblem(
  host: string,
  identities: readonly string[],
  resolve: (name: string) => Promise<readonly CaaRecord[]>,
): Promise<string | undefined> {
  if (identities.length === 0) return undefined;
  const wild = host.startsWith('*.');
  const labels = host.replace(/^\*\./, '').split('.');
  for (let first = 0; first < labels.length; first += 1) {
    const name = labels.slice(first).join('.');
    const records = await resolve(name);
    if (records.length === 0) continue;
    const issue = records.flatMap((record) => record.issue ?? []);
    const issueWild = records.flatMap((record) => record.issuewild ?? []);
    const allowed = wild && issueWild.length > 0 ? issueWild : issue;
    // Records without such a tag allow everybody.
    if (allowed.length === 0) return undefined;
    const names = allowed.map((value) => value.split(';')[0]?.trim());
    if (names.some((each) => each !== undefined && identities.includes(each))) return undefined;
    return `the CAA records of ${name} do not allow ${identities[0] ?? ''}`;
  }
  return undefined;
}
