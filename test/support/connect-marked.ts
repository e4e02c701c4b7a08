/** A client that marks its socket: `connect-marked.ts MARK ADDRESS` prints what the other side sent. */
import { familyOf, parseAddress } from "#core/address.ts";
import { addressOf } from "#sys/memory.ts";
import { blockingStream } from "#sys/blocking.ts";
import { connect, recv, setsockoptInt, SO_MARK, SOL_SOCKET } from "#sys/socket.ts";
import { asFd } from "#core/brands.ts";

const [mark = "0", text = ""] = process.argv.slice(2);
const address = parseAddress(text);
const fd = asFd(blockingStream(familyOf(address)));
setsockoptInt(fd, SOL_SOCKET, SO_MARK, Number(mark));
const error = connect(fd, address);
if (error !== 0) throw new Error(`connect: errno ${error}`);
const reply = Buffer.alloc(256);
process.stdout.write(reply.subarray(0, recv(fd, Number(addressOf(reply)), reply.length)));
