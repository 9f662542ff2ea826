/**
 * Images that Podgate brings along. They run as processes on the controller's machine, on every
 * installation; all other images need a container engine or Kubernetes.
 */
export const builtinImages = {
  /** The example program: HTTP, WebSocket, SSE, upload and download. */
  hello: 'podgate/hello',
  /** Runs `command` and `arguments` of the pod on the host: for admins only. */
  process: 'podgate/process',
} as const;

/** The image without its tag, as allow lists compare it. Registry ports and digests are kept. */
export function imageName(image: string): string {
  const name = image.split('@')[0] ?? image;
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}
