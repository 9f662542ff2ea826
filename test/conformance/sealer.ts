import { assert, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sealed, Sealer } from '#contracts/sealer.ts';
import { SealBroken, zSealed } from '#contracts/sealer.ts';

/** What a `Sealer` promises. `make` gives sealers that all hold one same key. */
export function sealerConforms(name: string, make: () => Sealer): void {
  const context = 'pod/default/a/environment';

  describe(`${name} as a sealer`, () => {
    test('any text opens again under its context', () => {
      const sealer = make();
      assert(
        property(string({ unit: 'grapheme' }), string(), (text, place) => {
          expect(sealer.open(sealer.seal(text, place), place)).toBe(text);
        }),
      );
    });

    test('a text of one megabyte opens again', () => {
      const text = 'x'.repeat(1 << 20);
      const sealer = make();
      expect(sealer.open(sealer.seal(text, context), context) === text).toBe(true);
    });

    test('a sealed value has the form of the contract and shows nothing of the text', () => {
      const sealed = make().seal('correct horse', context);
      expect(zSealed.safeParse(sealed).success).toBe(true);
      expect(sealed).not.toContain('correct horse');
      expect(sealed).not.toContain(Buffer.from('correct horse').toString('base64url'));
    });

    test('the same text sealed twice gives two values', () => {
      const sealer = make();
      expect(sealer.seal('x', context)).not.toBe(sealer.seal('x', context));
    });

    test('a value that was moved to another place does not open', () => {
      const sealer = make();
      const sealed = sealer.seal('x', context);
      expect(() => sealer.open(sealed, 'pod/default/b/environment')).toThrow(SealBroken);
    });

    test('no character can be changed, and none cut off', () => {
      const sealer = make();
      const sealed = sealer.seal('a secret', context);
      for (let index = 0; index < sealed.length; index += 1) {
        for (const other of 'Ax_.') {
          if (sealed[index] === other) continue;
          const changed = (sealed.slice(0, index) + other + sealed.slice(index + 1)) as Sealed;
          expect(() => sealer.open(changed, context)).toThrow(SealBroken);
        }
        expect(() => sealer.open(sealed.slice(0, index) as Sealed, context)).toThrow(SealBroken);
      }
    });

    test('a sealed value has one spelling: the bits that base64 leaves over count too', () => {
      const sealer = make();
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      for (const text of ['a', 'ab', 'abc']) {
        const sealed = sealer.seal(text, context);
        for (const last of alphabet) {
          if (sealed.endsWith(last)) continue;
          const changed = (sealed.slice(0, -1) + last) as Sealed;
          expect(() => sealer.open(changed, context)).toThrow(SealBroken);
        }
      }
    });

    test('what one sealed another with the same key opens', () => {
      expect(make().open(make().seal('x', context), context)).toBe('x');
    });
  });
}
