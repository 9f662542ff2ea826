import { builtinImages, imageName } from '#contracts/image.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiSettings } from '../ports.ts';

// With these the loader, Node or OpenSSL would run code of the caller's choice on the host.
const loaderVariable =
  /^(?:NODE_|LD_|DYLD_|OPENSSL_|SSL_|SSLKEYLOGFILE$|GLIBC_|MALLOC_|UV_|GCONV_PATH$|LOCPATH$|NLSPATH$)/i;

interface Wish {
  readonly image: string;
  readonly command: readonly string[] | null;
  /** Names of the variables that this caller sets, or brings in by a template. */
  readonly variables: readonly string[];
  /** Whether the list of images has it for the caller's tenant. */
  readonly allowed: boolean;
}

/** Why this caller cannot run this image here, or undefined. */
export function imageRefusal(
  pod: Wish,
  runtime: ApiSettings['runtime'],
  caller: Caller,
): string | undefined {
  const name = imageName(pod.image);
  const mayRunAnything = runtime === 'process' || caller.siteAdmin;
  if (name === builtinImages.hello) return helloRefusal(pod, mayRunAnything);
  if (name !== builtinImages.process) return containerRefusal(name, runtime, pod.allowed);
  if (!mayRunAnything) {
    return (
      `body, image: ${name} runs programs on the host: it needs the admin role (of the first tenant), ` +
      'or an operator who sets PODGATE_RUNTIME=process'
    );
  }
  if (!pod.command?.length) return `body, command: Field required for the image ${name}`;
  return undefined;
}

/** Names of the variables that were not there before, or had another value. */
export const changedNames = (
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): string[] => Object.keys(after).filter((name) => before[name] !== after[name]);

function containerRefusal(
  name: string,
  runtime: ApiSettings['runtime'],
  allowed: boolean,
): string | undefined {
  if (runtime === 'auto' || runtime === 'process') {
    return (
      `body, image: ${name} needs a container engine or Kubernetes, and none is connected ` +
      `(PODGATE_RUNTIME is ${runtime}). Built-in images: ${Object.values(builtinImages).join(', ')}`
    );
  }
  if (allowed) return undefined;
  return `body, image: ${name} is not on the list of images (GET /v3/pods/images), ask an admin to add it`;
}

function helloRefusal({ command, variables }: Wish, mayRunAnything: boolean): string | undefined {
  const name = builtinImages.hello;
  if (command?.length) return `body, command: ${name} has its own program, leave it out`;
  const unsafe = mayRunAnything ? undefined : variables.find((each) => loaderVariable.test(each));
  if (unsafe === undefined) return undefined;
  return (
    `body, environment_variables, ${unsafe}: may run programs on the host, so it needs the ` +
    'admin role (of the first tenant), or an operator who sets PODGATE_RUNTIME=process'
  );
}
