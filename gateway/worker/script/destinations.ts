/** Where clients of a script's transparent listens wanted to go. */
import { formatAddress } from "#core/address.ts";
import { asFd, type Fd } from "#core/brands.ts";
import type { Peer } from "#net/listener.ts";
import { getsockname } from "#sys/socket.ts";
import { OriginalDestinations } from "#worker/maps/original-destinations.ts";

export class Destinations {
  readonly #originals: OriginalDestinations | null;
  /** The program's own addresses: who asked for one of them was not on the way to somewhere else. */
  readonly #own: ReadonlySet<string>;

  /** `map`: of steered connections; null: nobody is steered. Stays the caller's. */
  constructor(map: Fd | null, own: ReadonlySet<string>) {
    this.#originals = map === null ? null : new OriginalDestinations(map);
    this.#own = own;
  }

  /** `198.51.100.7:80`; null for a client that asked for the listen itself. `fd`: of the accepted connection. */
  of(peer: Peer, fd: number): string | null {
    // A connection that was diverted as it came in has the address that was asked for as the socket's own.
    const address = formatAddress(this.#originals?.find(peer.address) ?? getsockname(asFd(fd)));
    return this.#own.has(address) ? null : address;
  }

  /** The same of a datagram, by its sender's address; another may have it next. */
  ofDatagram(client: Uint8Array): string | null {
    const found = this.#originals?.find(client, "udp") ?? null;
    return found === null ? null : formatAddress(found);
  }
}
