/** A connected TCP socket whose segments a test makes itself, over IPv4 on a loopback: to send what TCP would not send there. */
import { asFd, type Fd } from "#core/brands.ts";
import { ipOf, parseAddress, portOf } from "#core/address.ts";
import { addressOf } from "#sys/memory.ts";
import {
  AF_INET,
  close,
  connect,
  getpeername,
  getsockname,
  getsockoptInt,
  IPPROTO_TCP,
  send,
  setsockoptInt,
  socket,
} from "#sys/socket.ts";

const SOCK_RAW = 3;
/** Whoever writes to such a socket makes the IP header too. */
const IPPROTO_RAW = 255;
/** include/uapi/linux/tcp.h */
const TCP_REPAIR = 19;
const TCP_REPAIR_QUEUE = 20;
const TCP_QUEUE_SEQ = 21;
const QUEUE = { none: 0, receive: 1, send: 2 } as const;
/** Without a window probe. */
const REPAIR_OFF = -1;
const PSH_ACK = 0x18;

export class TcpSegments {
  readonly #raw: Fd;
  readonly #from: Uint8Array;
  readonly #to: Uint8Array;
  readonly #ack: number;
  /** Number of the first byte that has not been sent yet. */
  readonly next: number;

  /** `fd`: connected and quiet. */
  constructor(fd: Fd) {
    this.#from = getsockname(fd);
    this.#to = getpeername(fd) ?? this.#from;
    setsockoptInt(fd, IPPROTO_TCP, TCP_REPAIR, 1);
    const sequence = (queue: number): number => {
      setsockoptInt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
      return getsockoptInt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ) >>> 0;
    };
    this.next = sequence(QUEUE.send);
    this.#ack = sequence(QUEUE.receive);
    setsockoptInt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, QUEUE.none);
    setsockoptInt(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF);
    this.#raw = asFd(socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
    connect(this.#raw, parseAddress("127.0.0.1:0"));
  }

  send(sequence: number, text: string): void {
    const packet = this.#packet(sequence >>> 0, Buffer.from(text));
    if (send(this.#raw, Number(addressOf(packet)), packet.length) !== packet.length) throw new Error("not sent");
  }

  #packet(sequence: number, payload: Buffer): Buffer {
    const [source, destination] = [this.#from, this.#to].map((each) => Buffer.from(ipOf(each)).subarray(12));
    const tcp = Buffer.alloc(20 + payload.length);
    tcp.writeUInt16BE(portOf(this.#from), 0);
    tcp.writeUInt16BE(portOf(this.#to), 2);
    tcp.writeUInt32BE(sequence, 4);
    tcp.writeUInt32BE(this.#ack, 8);
    tcp[12] = 5 << 4;
    tcp[13] = PSH_ACK;
    tcp.writeUInt16BE(0xffff, 14);
    payload.copy(tcp, 20);
    const addresses = Buffer.concat([source ?? Buffer.alloc(4), destination ?? Buffer.alloc(4)]);
    const pseudo = Buffer.concat([addresses, Buffer.from([0, IPPROTO_TCP, tcp.length >> 8, tcp.length & 255])]);
    tcp.writeUInt16BE(checksum(Buffer.concat([pseudo, tcp])), 16);
    // The kernel fills in its checksum.
    const ip = Buffer.from([0x45, 0, 0, 20 + tcp.length, 0, 0, 0, 0, 64, IPPROTO_TCP, 0, 0]);
    return Buffer.concat([ip, addresses, tcp]);
  }

  close(): void {
    close(this.#raw);
  }
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at++) sum += at % 2 === 0 ? (bytes[at] ?? 0) << 8 : (bytes[at] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
