import type net from 'node:net';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { flags, framesOf, types } from '../../test/attacks/http2-frames.ts';
import { FrameWriter } from './frame-writer.ts';
import { initialWindowBytes } from './protocol.ts';
import { Outbound, SendWindow } from './send-window.ts';

/** Content through windows that open at random: never more than they allow, and all of it in the end. */

const streams = [1, 3, 5] as const;
const owner = {
  outboundDrained: () => undefined,
  outboundMoved: () => undefined,
  outboundEnded: () => undefined,
};
const amount = fc.oneof(fc.nat(50), fc.nat(40_000));
const step = fc.record({
  stream: fc.constantFrom(...streams),
  send: amount,
  asText: fc.boolean(),
  openStream: amount,
  openConnection: amount,
});

test('what is sent fits into both windows, keeps its order, and is whole in the end', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), amount, (steps, first) => {
      let written = '';
      const socket = {
        writableHighWaterMark: 1 << 30,
        writableNeedDrain: false,
        cork: () => undefined,
        uncork: () => undefined,
        write: (bytes: Buffer | string) => (written += bytes.toString('latin1')),
      };
      const writer = new FrameWriter(socket as unknown as net.Socket);
      const connection = new SendWindow(writer);
      const granted = new Map<number, number>([[0, initialWindowBytes]]);
      const wanted = new Map<number, string>();
      const sent = new Map<number, string>();
      const ended = new Set<number>();
      const outbounds = new Map(streams.map((id) => [id, new Outbound(connection, owner)]));
      const check = (): void => {
        writer.flush();
        const { frames } = framesOf(Buffer.from(written, 'latin1'));
        written = '';
        for (const { type, stream, flag, payload } of frames) {
          expect(type).toBe(types.data);
          expect(ended.has(stream)).toBe(false);
          sent.set(stream, (sent.get(stream) ?? '') + payload.toString('latin1'));
          if ((flag & flags.endStream) !== 0) ended.add(stream);
        }
        let all = 0;
        for (const [stream, text] of sent) {
          all += text.length;
          expect(text.length).toBeLessThanOrEqual(granted.get(stream) ?? 0);
        }
        expect(all).toBeLessThanOrEqual(granted.get(0) ?? 0);
      };
      const grant = (stream: number, bytes: number): void => {
        granted.set(stream, (granted.get(stream) ?? 0) + bytes);
        if (stream === 0) connection.opened(bytes);
        else outbounds.get(stream as 1)?.opened(bytes);
        check();
      };
      for (const [id, outbound] of outbounds) {
        granted.set(id, first);
        outbound.begin(id, first);
      }
      let letter = 0;
      for (const { stream, send, asText, openStream, openConnection } of steps) {
        const text = String.fromCharCode(97 + (letter++ % 26)).repeat(send);
        wanted.set(stream, (wanted.get(stream) ?? '') + text);
        outbounds.get(stream)?.send(asText ? text : Buffer.from(text, 'latin1'));
        check();
        grant(stream, openStream);
        grant(0, openConnection);
      }
      for (const outbound of outbounds.values()) outbound.end('', '');
      check();
      for (const id of streams) grant(id, 2_000_000);
      grant(0, 2_000_000);
      for (const id of streams) expect(sent.get(id) ?? '').toBe(wanted.get(id) ?? '');
      expect(ended.size).toBe(streams.length);
    }),
    { numRuns: 300 },
  );
});
