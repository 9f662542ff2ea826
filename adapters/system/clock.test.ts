import { clockConforms } from '../../test/conformance/clock.ts';
import { systemClock } from './clock.ts';

clockConforms('systemClock', () => ({
  clock: systemClock,
  pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms + 5)),
}));
