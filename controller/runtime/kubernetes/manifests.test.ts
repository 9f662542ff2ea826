import { expect, test } from 'vitest';
import { spec } from '../../../test/conformance/runtime.ts';
import { manifestsOf } from './manifests.ts';
import { Naming } from './names.ts';

test.each([
  ['whom its image becomes', { root: false, user: 999 }, [true, 999, 999]],
  ['anybody but root', { root: false, user: null }, [true, undefined, undefined]],
  ['whom its image wants', { root: true, user: 999 }, [undefined, undefined, undefined]],
])('a Pod runs as %s', (_, whom, expected) => {
  const asked = spec({ privileges: { ...whom, capabilities: [] } });
  const security = manifestsOf(asked, new Naming('a', 'pods')).pod.spec?.securityContext;
  expect([security?.runAsNonRoot, security?.runAsUser, security?.runAsGroup]).toEqual(expected);
});
