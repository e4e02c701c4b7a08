/** A client whose first connect fails and that tries another address on the same socket; prints what that one sent. */
import { ECONNREFUSED } from "#core/errno.ts";
import { asFd } from "#core/brands.ts";
import { familyOf, parseAddress } from "#core/address.ts";
import { addressOf } from "#sys/memory.ts";
import { blockingStream } from "#sys/blocking.ts";
import { connect, recv } from "#sys/socket.ts";

const [first, second] = process.argv.slice(2).map((text) => parseAddress(text));
if (first === undefined || second === undefined) throw new Error("two addresses, please");
const fd = asFd(blockingStream(familyOf(first)));
const refused = connect(fd, first);
if (refused !== ECONNREFUSED) throw new Error(`first connect: errno ${refused}`);
const error = connect(fd, second);
if (error !== 0) throw new Error(`second connect: errno ${error}`);
const reply = Buffer.alloc(256);
process.stdout.write(reply.subarray(0, recv(fd, Number(addressOf(reply)), reply.length)));
