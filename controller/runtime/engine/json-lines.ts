/** The values of an answer with a JSON text per line; what is none is left out. */
export async function* jsonLines(answer: NodeJS.ReadableStream): AsyncGenerator {
  let rest = '';
  answer.setEncoding('utf8');
  for await (const chunk of answer) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield* parsed(line);
  }
  yield* parsed(rest);
}

function* parsed(line: string): Generator {
  try {
    yield JSON.parse(line);
  } catch {
    // An empty line, or half of one from an engine that has gone away.
  }
}
