/** One value of DER (ITU-T X.690, 8.1 and 10.1): tag, length, content. Up to 65,535 bytes. */
export const tlv = (tag: number, ...contents: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...derLength(content.length)]), content]);
};

const derLength = (length: number): number[] =>
  length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
