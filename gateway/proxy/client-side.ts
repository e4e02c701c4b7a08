/** The client's side of an exchange, as filters see it. */
import { parseIp } from "#core/address.ts";
import { assert } from "#core/assert.ts";
import type { PeerCertificate } from "#net/tls/peer.ts";
import { Asker } from "./asker.ts";
import type { DownstreamStream } from "./downstream-stream.ts";

export abstract class ClientSide {
  downstream: DownstreamStream | null = null;
  /** Of this request. */
  readonly asker = new Asker();
  #clientBytes: Uint8Array | null = null;

  get scheme(): "http" | "https" {
    return this.stream.tls === null ? "http" : "https";
  }

  get clientCertificate(): PeerCertificate | null {
    return this.stream.tls?.certificate ?? null;
  }

  get clientAddress(): string {
    return this.stream.client;
  }

  get clientAddressBytes(): Uint8Array {
    const { client } = this.stream;
    this.#clientBytes ??= client === "" ? new Uint8Array(16) : parseIp(client);
    return this.#clientBytes;
  }

  protected get stream(): DownstreamStream {
    assert(this.downstream !== null, "exchange without a client");
    return this.downstream;
  }

  protected forgetClient(): void {
    this.#clientBytes = null;
    this.downstream = null;
    this.asker.reset();
  }
}
