/** A client that asks one request after the other until it is told to stop, and remembers what went wrong on which port. */
import http from "node:http";

export interface Loss {
  /** Of the client's end. */
  readonly port: number;
  readonly why: string;
}

export class SteadyClient {
  readonly losses: Loss[] = [];
  answered = 0;
  readonly #agent: http.Agent;
  readonly #port: number;
  readonly #pauseMs: number;
  readonly #done: Promise<void>;
  #on = true;

  /** `kept`: on one connection, as long as it lasts; else on a new one for each request, with a pause. */
  constructor(port: number, kept: boolean, pauseMs = 0) {
    this.#port = port;
    this.#pauseMs = pauseMs;
    this.#agent = new http.Agent({ keepAlive: kept, maxSockets: 1 });
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#on = false;
    await this.#done;
    this.#agent.destroy();
  }

  async #run(): Promise<void> {
    while (this.#on) {
      await this.#ask();
      if (this.#pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }

  #ask(): Promise<void> {
    return new Promise((resolve) => {
      let port = 0;
      const lost = (why: string): void => {
        this.losses.push({ port, why });
        resolve();
      };
      const request = http.get({ agent: this.#agent, host: "127.0.0.1", port: this.#port, path: "/" }, (response) => {
        response.resume();
        response.once("error", (error) => lost(error.message));
        response.once("end", () => {
          if (response.statusCode !== 200) {
            lost(`status ${response.statusCode}`);
            return;
          }
          this.answered++;
          resolve();
        });
      });
      request.once("socket", (socket) => {
        port = socket.localPort ?? 0;
        if (socket.connecting) socket.once("connect", () => (port = socket.localPort ?? 0));
      });
      request.once("error", (error) => lost(error.message));
    });
  }
}
