import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';

/** The REST API as its clients use it, on connections that are kept. */
export class Rest {
  readonly #port: number;
  readonly #token: string;
  readonly #agent: Agent;

  /** `atOnce`: how many calls may be under way. */
  constructor({ port, token }: { readonly port: number; readonly token: string }, atOnce: number) {
    this.#port = port;
    this.#token = token;
    this.#agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  }

  /** One call and its answer. Throws unless that is 200. */
  async call(method: string, path: string, body?: object): Promise<string> {
    const headers = { 'x-tapis-token': this.#token, 'content-type': 'application/json' };
    const terms = { host: '127.0.0.1', port: this.#port, agent: this.#agent };
    const sent = request({ ...terms, method, path, headers });
    sent.end(body ? JSON.stringify(body) : undefined);
    const [answer] = await once(sent, 'response');
    const words = await text(answer);
    if (answer.statusCode !== 200)
      throw new Error(`${method} ${path}: ${answer.statusCode} ${words.slice(0, 300)}`);
    return words;
  }

  close(): void {
    this.#agent.destroy();
  }
}
