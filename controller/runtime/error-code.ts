/** The system's name of what failed (`ENOENT`), or '' for an error that is not the system's. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
