import { Cluster } from 'ioredis';
import type { Connection } from './connection.ts';

/** What is wrong with a server: `refusal` would lose documents for sure, `warnings` may. */
export interface ConfigurationProblems {
  readonly refusal: string | undefined;
  readonly warnings: readonly string[];
}

const versionMin = 7; // scripts that are refused before they begin

/** Looks at the server, or at each master of a cluster. Throws `StoreUnavailable`. */
export async function configurationProblems(
  connection: Connection,
  waitReplicas: number,
): Promise<ConfigurationProblems> {
  const found = await connection.repeat(async (client) => {
    const nodes = client instanceof Cluster ? client.nodes('master') : [client];
    return Promise.all(
      nodes.map(async (node) => ({
        info: await node.info('server'),
        // Hosted servers often allow no CONFIG.
        reply: await node
          .config('GET', 'maxmemory*', 'append*', 'no-appendfsync-on-rewrite')
          .catch((error: Error) =>
            error.name === 'ReplyError' ? undefined : Promise.reject(error),
          ),
      })),
    );
  });
  const judged = found.map(({ info, reply }) =>
    judge(versionOf(info), Array.isArray(reply) ? pairsOf(reply) : undefined, waitReplicas),
  );
  return {
    refusal: judged.find(({ refusal }) => refusal !== undefined)?.refusal,
    warnings: [...new Set(judged.flatMap(({ warnings }) => warnings))],
  };
}

/** `values`: of CONFIG GET; undefined when the server does not tell. */
export function judge(
  version: number,
  values: ReadonlyMap<string, string> | undefined,
  waitReplicas: number,
): ConfigurationProblems {
  if (version < versionMin) {
    return { refusal: `it is version ${version}: use Redis 7 or newer`, warnings: [] };
  }
  if (!values) {
    const warning =
      'its configuration cannot be read (CONFIG GET is refused): see to it that maxmemory-policy is noeviction, appendonly yes and appendfsync always';
    return { refusal: undefined, warnings: [warning] };
  }
  const policy = values.get('maxmemory-policy') ?? 'noeviction';
  if (policy !== 'noeviction' && values.get('maxmemory') !== '0') {
    const refusal = `its maxmemory-policy is ${policy}, which drops what Podgate keeps when memory is short: set it to noeviction`;
    return { refusal, warnings: [] };
  }
  const warnings: string[] = [];
  if (policy !== 'noeviction') {
    warnings.push(`maxmemory-policy is ${policy}: set it to noeviction before maxmemory is set`);
  }
  warnings.push(...persistenceWarnings(values, waitReplicas));
  return { refusal: undefined, warnings };
}

function persistenceWarnings(values: ReadonlyMap<string, string>, waitReplicas: number): string[] {
  if (values.get('appendonly') !== 'yes') {
    return [
      'appendonly is no: when Redis dies, what was written since its last snapshot is lost; set appendonly to yes and appendfsync to always',
    ];
  }
  const fsync = values.get('appendfsync') ?? '';
  // With replicas a write is in two memories before it is answered.
  if (fsync !== 'always' && waitReplicas === 0) {
    return [`appendfsync is ${fsync}: when Redis dies, the last second is lost; set it to always`];
  }
  if (values.get('no-appendfsync-on-rewrite') === 'yes') {
    return [
      'no-appendfsync-on-rewrite is yes: while the log is rewritten nothing is safe; set it to no',
    ];
  }
  return [];
}

const versionOf = (info: string): number => Number(/^redis_version:(\d+)/m.exec(info)?.[1] ?? 0);

function pairsOf(flat: readonly unknown[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (let at = 0; at + 1 < flat.length; at += 2) pairs.set(String(flat[at]), String(flat[at + 1]));
  return pairs;
}
