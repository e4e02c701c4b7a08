/**
 * An endpoint as one connection sees it that begins by naming its client (the PROXY protocol): counted with all others of
 * its address, and never pooled, since what it said of the client holds for every request that comes over it.
 */
import { Endpoint } from "./endpoint.ts";

export class IntroducedEndpoint extends Endpoint {
  readonly #shared: Endpoint;

  constructor(shared: Endpoint) {
    super(shared.address, shared.sockaddr, 0, shared.key, shared.tls);
    this.#shared = shared;
  }

  override enter(): void {
    this.#shared.enter();
  }

  override leave(): void {
    this.#shared.leave();
  }
}
