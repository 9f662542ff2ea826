/** A command line whose program the kernel ends when this process ends, however it does. */
export const endingWithUs = (argv: readonly string[]): [string, ...string[]] => [
  'setpriv',
  '--pdeathsig',
  'KILL',
  ...argv,
];
