import { z } from 'zod';
import { text } from './fields.ts';
import { group } from './group.ts';

/** On what pods run. */
export const runtime = group({
  shape: {
    PODGATE_RUNTIME: z
      .enum(
        ['auto', 'process', 'kubernetes'],
        'must be auto, process or kubernetes (container engines are not available yet)',
      )
      .default('auto'),
    PODGATE_PROCESS_USER: text.optional(),
  },
  choose: (values, { isRoot }) => ({
    kind: values.PODGATE_RUNTIME,
    // Databases refuse to run as root, and a pod has no business being it.
    processUser: values.PODGATE_PROCESS_USER ?? (isRoot ? 'nobody' : undefined),
  }),
});
