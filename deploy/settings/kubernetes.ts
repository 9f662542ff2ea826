import { z } from 'zod';
import { text } from './fields.ts';
import { group } from './group.ts';

const namespacePattern = /^(?:[a-z0-9-]|\{tenant\})+$/;

/** The cluster that pods run on. */
export const kubernetes = group({
  shape: {
    PODGATE_KUBERNETES_NAMESPACE: z
      .string()
      .regex(namespacePattern, 'must be a namespace, in which {tenant} may stand for the tenant')
      .default('podgate-pods'),
    KUBECONFIG: text.optional(),
  },
  choose: (values) => ({
    namespace: values.PODGATE_KUBERNETES_NAMESPACE,
    /** Undefined: the service account of the Pod that we run in. */
    configFile: values.KUBECONFIG,
  }),
});
