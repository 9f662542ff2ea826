import type { Access } from '../access/declared.ts';

/** Operations of the wire that nothing stands behind yet: they say so, and are never half done. */

export interface Unavailable {
  readonly operationId: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below `/v3/pods`; a last `*` stands for the rest of the path. */
  readonly path: string;
  readonly access: Access;
}

type Row = readonly [id: string, method: Unavailable['method'], path: string, access?: Access];

const rows: readonly Row[] = [
  ['list_volumes', 'GET', '/volumes'],
  ['create_volume', 'POST', '/volumes'],
  ['get_volume', 'GET', '/volumes/:volume_id'],
  ['update_volume', 'PUT', '/volumes/:volume_id'],
  ['delete_volume', 'DELETE', '/volumes/:volume_id'],
  ['list_volume_files', 'GET', '/volumes/:volume_id/list'],
  ['get_volume_contents', 'GET', '/volumes/:volume_id/contents/*'],
  ['upload_to_volume', 'POST', '/volumes/:volume_id/upload/*'],
  ['get_volume_permissions', 'GET', '/volumes/:volume_id/permissions'],
  ['set_volume_permission', 'POST', '/volumes/:volume_id/permissions'],
  ['delete_volume_permission', 'DELETE', '/volumes/:volume_id/permissions/:user'],
  ['list_snapshots', 'GET', '/snapshots'],
  ['create_snapshot', 'POST', '/snapshots'],
  ['get_snapshot', 'GET', '/snapshots/:snapshot_id'],
  ['update_snapshot', 'PUT', '/snapshots/:snapshot_id'],
  ['delete_snapshot', 'DELETE', '/snapshots/:snapshot_id'],
  ['list_snapshot_files', 'GET', '/snapshots/:snapshot_id/list'],
  ['get_snapshot_contents', 'GET', '/snapshots/:snapshot_id/contents/*'],
  ['get_snapshot_permissions', 'GET', '/snapshots/:snapshot_id/permissions'],
  ['set_snapshot_permission', 'POST', '/snapshots/:snapshot_id/permissions'],
  ['delete_snapshot_permission', 'DELETE', '/snapshots/:snapshot_id/permissions/:user'],
  ['ensure_jupyter_pod', 'GET', '/jupyter/ensure'],
  ['upload_to_jupyter', 'POST', '/jupyter/:pod_id/upload', 'USER on pod'],
  ['exec_pod_commands', 'POST', '/:pod_id/exec', 'ADMIN on pod'],
  ['upload_to_pod', 'POST', '/:pod_id/upload_to_pod', 'ADMIN on pod'],
  ['pod_auth', 'GET', '/:pod_id_net/auth', 'anybody'],
  ['pod_auth_callback', 'GET', '/:pod_id_net/auth/callback', 'anybody'],
];

export const unavailable: readonly Unavailable[] = rows.map(
  ([operationId, method, path, access = 'user']) => ({ operationId, method, path, access }),
);

/** Paths whose last part may have slashes, each with the name of that part. */
export const wildcardPaths: Readonly<Record<string, string>> = Object.fromEntries(
  unavailable
    .filter(({ path }) => path.endsWith('/*'))
    .map(({ path }) => [`/v3/pods${path}`, 'path']),
);
