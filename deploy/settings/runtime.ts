import { z } from 'zod';
import type { EngineAddress } from '../../controller/runtime/engine/address.ts';
import { BadEngineAddress, parseEngineAddress } from '../../controller/runtime/engine/address.ts';
import { text } from './fields.ts';
import { group } from './group.ts';

const engineAddress = z.string().transform((written, context) => {
  try {
    return parseEngineAddress(written);
  } catch (error) {
    if (!(error instanceof BadEngineAddress)) throw error;
    context.addIssue(error.message);
    return z.NEVER;
  }
});

interface EngineChoice {
  /** Undefined: looked for where engines usually are. */
  readonly address: EngineAddress | undefined;
  /** Where a user's own Podman has its socket. */
  readonly runtimeDir: string | undefined;
}

/** On what pods run. */
export const runtime = group({
  shape: {
    PODGATE_RUNTIME: z
      .enum(
        ['auto', 'process', 'engine', 'kubernetes'],
        'must be auto, process, engine or kubernetes',
      )
      .default('auto'),
    PODGATE_PROCESS_USER: text.optional(),
    PODGATE_REGISTRY_AUTH_FILE: text.optional(),
    PODGATE_ROOT_TEMPLATES: z
      .string()
      .regex(/^[a-z0-9]*(?:[\s,]+[a-z0-9]+)*$/, 'must be ids of templates with commas between')
      .default(''),
    DOCKER_HOST: engineAddress.optional(),
    XDG_RUNTIME_DIR: z.string().optional(),
  },
  choose: (values, { isRoot }) => {
    const engine: EngineChoice = {
      address: values.DOCKER_HOST,
      runtimeDir: values.XDG_RUNTIME_DIR,
    };
    return {
      kind: values.PODGATE_RUNTIME,
      engine,
      // Databases refuse to run as root, and a pod has no business being it.
      processUser: values.PODGATE_PROCESS_USER ?? (isRoot ? 'nobody' : undefined),
      registryFile: values.PODGATE_REGISTRY_AUTH_FILE,
      rootTemplates: new Set(values.PODGATE_ROOT_TEMPLATES.split(/[\s,]+/).filter(Boolean)),
    };
  },
});
