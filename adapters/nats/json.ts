/** The value that these bytes stand for; undefined: they are no JSON. */
export function parsed(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString());
  } catch {
    return undefined;
  }
}
