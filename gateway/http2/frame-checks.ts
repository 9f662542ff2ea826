import type { FrameHead } from './frame-reader.ts';
import { ConnectionFault, errors, framePayloadMax, settings, windowBytesMax } from './protocol.ts';

/** What frames must be like whatever the connection has come to (RFC 9113, 6). */

/** A frame of a stream. */
export function ofStream({ stream }: FrameHead): void {
  if (stream === 0) throw new ConnectionFault(errors.protocol, 'a frame of no stream');
}

/** A frame of the connection. */
export function ofConnection({ stream }: FrameHead): void {
  if (stream !== 0) throw new ConnectionFault(errors.protocol, 'a frame of a stream');
}

export function lengthIs(right: boolean): void {
  if (!right) throw new ConnectionFault(errors.frameSize, 'a frame of a wrong length');
}

/** The first four bytes of a priority, but for the flag in the highest bit (RFC 9113, 5.3.2). */
export function refuseSelfDependence({ stream }: FrameHead, bytes: Buffer, at: number): void {
  if (uint31(bytes, at) !== stream) return;
  throw new ConnectionFault(errors.protocol, 'a stream that depends on itself');
}

export const uint31 = (bytes: Buffer, at: number): number => bytes.readUInt32BE(at) & 0x7fff_ffff;

const settingBytes = 6;

/**
 * Checks the settings that a client sends (6.5.2) and returns the window it gives each stream, or
 * undefined where it says nothing of it. We use no table, push nothing and send the smallest frames
 * there are, so all others are nothing to us.
 */
export function windowSetting(bytes: Buffer, from: number, to: number): number | undefined {
  let window: number | undefined;
  for (let at = from; at < to; at += settingBytes) {
    const value = bytes.readUInt32BE(at + 2);
    switch (bytes.readUInt16BE(at)) {
      case settings.enablePush:
        if (value > 1) throw new ConnectionFault(errors.protocol, 'ENABLE_PUSH is 0 or 1');
        break;
      case settings.initialWindowSize:
        if (value > windowBytesMax) {
          throw new ConnectionFault(errors.flowControl, 'a window is too large');
        }
        window = value;
        break;
      case settings.maxFrameSize:
        if (value < framePayloadMax || value > 0xff_ffff) {
          throw new ConnectionFault(errors.protocol, 'MAX_FRAME_SIZE is out of range');
        }
        break;
      default:
    }
  }
  return window;
}
