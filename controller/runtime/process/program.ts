import { builtinImages, imageName } from '#contracts/image.ts';
import { Refused } from '../refused.ts';
import type { RunSpec } from '../runtime.ts';
import { expand, expandEnvironment } from '../expand.ts';
import type { Places } from './places.ts';

/** A command line as the system takes it. */
export interface Program {
  readonly file: string;
  readonly arguments: readonly string[];
}

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What to execute for a spec, with `$(NAME)` expanded. Throws `Refused`. */
export function programOf(
  spec: RunSpec,
  places: Places,
  environment: Readonly<Record<string, string>>,
): Program {
  const { gpus } = spec.resources;
  if (gpus > 0)
    throw new Refused(`resources.gpus is ${gpus}, and pods that are processes are given none`);
  const words = (list: readonly string[] | null): string[] =>
    (list ?? []).map((word) => expand(word, environment));
  const image = imageName(spec.image);
  if (image === builtinImages.hello) {
    return { file: places.node, arguments: [places.hello, ...words(spec.arguments)] };
  }
  if (image !== builtinImages.process) {
    throw new Refused(
      `image ${spec.image} needs a container engine or Kubernetes, which PODGATE_RUNTIME has to name`,
    );
  }
  const [file, ...rest] = words(spec.command);
  if (!file) throw new Refused(`image ${builtinImages.process} needs a command`);
  return { file, arguments: [...rest, ...words(spec.arguments)] };
}

/**
 * All that a pod finds in its environment. Nothing is inherited, because ours holds settings; the
 * ports win over the user's variables, because nothing else is routed.
 */
export function environmentOf(
  spec: RunSpec,
  workFolder: string,
  ports: Readonly<Record<string, number>>,
): Record<string, string> {
  const given: Record<string, string> = {};
  const first = ports['default'] ?? ports[spec.networks[0]?.name ?? ''];
  if (first !== undefined) given['PORT'] = String(first);
  for (const [network, port] of Object.entries(ports))
    given[`PORT_${network.toUpperCase()}`] = String(port);
  const base = { PATH: searchPath, HOME: workFolder, LANG: 'C.UTF-8', ...given };
  return { ...expandEnvironment(base, variablesOf(spec)), ...given };
}

/**
 * The user's variables that the program gets. Anybody may run hello, and what loads it (Node, the
 * linker, OpenSSL) runs code that its environment names: so it gets those it reads, and no others.
 */
function variablesOf({ image, environment }: RunSpec): Readonly<Record<string, string>> {
  if (imageName(image) !== builtinImages.hello) return environment;
  const read = Object.entries(environment).filter(([name]) => name.startsWith('HELLO_'));
  return Object.fromEntries(read);
}
