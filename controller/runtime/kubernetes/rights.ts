import { z } from 'zod';
import type { KubernetesApi } from './api.ts';
import type { Naming } from './names.ts';

/** The service account may not do what pods need; the message names each right. */
class MissingRights extends Error {
  override readonly name = 'MissingRights';
}

interface Right {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verbs: readonly string[];
}

/** All that we ask of an API server, and what a role has to grant. */
export const rights: readonly Right[] = [
  { group: '', resource: 'pods', verbs: ['get', 'list', 'watch', 'create', 'delete'] },
  { group: '', resource: 'pods', subresource: 'log', verbs: ['get'] },
  { group: '', resource: 'events', verbs: ['list', 'watch'] },
  ...['secrets', 'services'].map((resource) => ({
    group: '',
    resource,
    verbs: ['get', 'create', 'patch', 'deletecollection'],
  })),
  {
    group: 'networking.k8s.io',
    resource: 'networkpolicies',
    verbs: ['get', 'create', 'patch', 'deletecollection'],
  },
];
/** Where each tenant has a namespace, these are made. */
const namespaceRights: Right = {
  group: '',
  resource: 'namespaces',
  verbs: ['get', 'create', 'patch'],
};

const zReview = z.object({ status: z.object({ allowed: z.boolean() }) });

/** Asks the API server for each right; throws `MissingRights`. */
export async function checkRights(api: KubernetesApi, naming: Naming): Promise<void> {
  const needed = naming.namespacePerTenant ? [...rights, namespaceRights] : rights;
  const namespace = naming.sharedNamespace;
  const asked = needed.flatMap(({ verbs, ...right }) => verbs.map((verb) => ({ verb, ...right })));
  const answers = await Promise.all(
    asked.map(async (resourceAttributes) => {
      const answer = await api.call({
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: {
            resourceAttributes: { ...resourceAttributes, ...(namespace ? { namespace } : {}) },
          },
        },
      });
      return zReview.parse(answer).status.allowed ? [] : [nameOf(resourceAttributes)];
    }),
  );
  const missing = answers.flat();
  const where = namespace === undefined ? 'in all namespaces' : `in namespace ${namespace}`;
  if (missing.length > 0)
    throw new MissingRights(`Kubernetes does not let us ${missing.join(', ')} ${where}`);
}

const nameOf = (asked: { verb: string; group: string; resource: string; subresource?: string }) =>
  [asked.verb, [asked.resource, asked.subresource].filter(Boolean).join('/')].join(' ');
