const blockBytes = 512;

/** The first entry of an archive that is no remark about another. */
export type TarFile =
  | { readonly kind: 'file'; readonly text: string }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'other' };

/** Reads the archive that engines make of one file. */
export function readTarFile(archive: Buffer): TarFile {
  for (let at = 0; at + blockBytes <= archive.length;) {
    const header = archive.subarray(at, at + blockBytes);
    const body = at + blockBytes;
    const size = Number.parseInt(fieldOf(header, 124, 12), 8) || 0;
    const type = fieldOf(header, 156, 1);
    if (type === '0' || type === '')
      return { kind: 'file', text: archive.toString('utf8', body, body + size) };
    if (type === '2') return { kind: 'link', target: fieldOf(header, 157, 100) };
    // Longer names and finer times, of the entry that follows.
    if (!/[xgLK]/.test(type)) break;
    at = body + Math.ceil(size / blockBytes) * blockBytes;
  }
  return { kind: 'other' };
}

const fieldOf = (header: Buffer, at: number, length: number): string =>
  header.toString('utf8', at, at + length).replace(/\0.*$/s, '');
