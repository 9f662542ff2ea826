import type { Definition, DesiredPod, Layer } from '#contracts/pod.ts';
import { zDefinition } from '#contracts/pod.ts';
import { unknownPlaceholders } from '#contracts/placeholders.ts';
import { Invalid } from '../errors.ts';
import type { Provenance } from '../templates/derive.ts';
import { attribute, merge, said } from '../templates/derive.ts';
import { parse } from '../validation.ts';
import type { Shape } from './edit.ts';
import type { Effective } from './fields.ts';
import { zEffective } from './fields.ts';
import { networkingProblem } from './schemas.ts';

/** What a pod becomes by what its user says and the templates below. Throws `Invalid`. */
export function shapeOf(podId: string, own: Definition, below: Below): Shape {
  const { effective } = explain(own, below.layers);
  const problem = networkingProblem(podId, effective.networking);
  const problems = [...(problem ? [problem] : []), ...placeholderProblems(effective)];
  if (problems.length > 0) throw new Invalid(problems);
  return { own, ...below, effective };
}

export type Below = Pick<Shape, 'ref' | 'layers'>;

/** The effective pod, and by whom each leaf was set. */
export function explain(
  own: Definition,
  layers: readonly Layer[],
): { effective: Effective; provenance: Provenance } {
  const { definition, provenance } = merge(own, layers);
  const effective = parse(zEffective, 'body', said(definition));
  return { effective, provenance: attribute(effective, provenance) };
}

interface Texts {
  readonly environment_variables?: Readonly<Record<string, string>> | undefined;
  readonly command?: readonly string[] | null | undefined;
  readonly arguments?: readonly string[] | null | undefined;
}

/** Texts that ask for what no pod has. */
export function placeholderProblems(definition: Texts): string[] {
  const texts: (readonly [path: string, text: string])[] = [
    ...Object.entries(definition.environment_variables ?? {}).map(
      ([name, text]) => [`environment_variables, ${name}`, text] as const,
    ),
    ...(definition.command ?? []).map((text, index) => [`command, ${index}`, text] as const),
    ...(definition.arguments ?? []).map((text, index) => [`arguments, ${index}`, text] as const),
  ];
  return texts.flatMap(([path, text]) =>
    unknownPlaceholders(text).map(
      (written) =>
        `body, ${path}: ${written} is no placeholder, only <<TAPIS_user_username>> and <<TAPIS_user_password>> are`,
    ),
  );
}

/** What a body says of a pod: without what is the service's to say, or says nothing. */
export function definitionOf(body: Readonly<Record<string, unknown>>): Definition {
  const { pod_id: _id, status_requested: _switch, volume_mounts: _none, ...fields } = body;
  const definition = zDefinition.parse(said(fields));
  const networking = Object.entries(definition.networking ?? {}).map(
    ([name, { url: _url, cert_state: _state, certificate: _shown, ...leaves }]) =>
      [name, leaves] as const,
  );
  // On the wire an empty name says nothing.
  const { image, ...named } = definition;
  return {
    ...named,
    ...(image ? { image } : {}),
    ...(definition.networking ? { networking: Object.fromEntries(networking) } : {}),
  };
}

/** Fields that are sent as null are given back to templates and defaults. */
export const unsaid = (body: object): Record<string, undefined> =>
  Object.fromEntries(
    Object.entries(body)
      .filter(([, value]) => value === null)
      .map(([field]) => [field, undefined]),
  );

export const belowOf = ({ template }: DesiredPod): Below => ({
  ref: template?.ref,
  layers: template?.layers ?? [],
});
