import { builtinImages, imageName } from '#contracts/image.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiSettings } from '../ports.ts';

/** Why this caller cannot run this image here, or undefined. */
export function imageRefusal(
  pod: { readonly image: string; readonly command: readonly string[] | null },
  runtime: ApiSettings['runtime'],
  caller: Caller,
): string | undefined {
  const name = imageName(pod.image);
  if (name === builtinImages.hello) return undefined;
  if (name !== builtinImages.process) {
    return (
      `body, image: ${name} needs a container engine or Kubernetes, and none is connected ` +
      `(PODGATE_RUNTIME is ${runtime}). Built-in images: ${Object.values(builtinImages).join(', ')}`
    );
  }
  if (runtime !== 'process' && !caller.admin) {
    return (
      `body, image: ${name} runs programs on the host: it needs the admin role, ` +
      'or an operator who sets PODGATE_RUNTIME=process'
    );
  }
  if (!pod.command?.length) return `body, command: Field required for the image ${name}`;
  return undefined;
}
