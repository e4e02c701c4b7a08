/** Sockets as the drivers see them, and what their owners are told. */

/** What happens on one socket. Implemented by connections; one object serves the socket for its life. */
export interface SocketHandler {
  /** A non-blocking connect ended; `error` is 0 or an errno. */
  onConnect(socket: Socket, error: number): void;
  /** Bytes `[start, end)` of `buffers.memory`, in buffer `buffer`, valid for the call unless retained. */
  onReceive(socket: Socket, buffer: number, start: number, end: number): void;
  /** The peer sent FIN; the other direction is still open. */
  onEnd(socket: Socket): void;
  /** The send queue is empty. */
  onSent(socket: Socket): void;
  /** The connection broke (an errno, e.g. ECONNRESET); the owner must `close`. */
  onError(socket: Socket, error: number): void;
}

/**
 * One connected socket as the drivers see it. Fields of every driver stand here, so that all sockets have one shape and
 * the hot path stays monomorphic; a driver reuses the object after close, and `generation` tells stale completions apart.
 */
export class Socket {
  /** Index in the driver's table. */
  readonly index: number;
  /** Counts the lives of this object, modulo 2²³: completions carry it. */
  generation = 0;
  /** −1 when closed. */
  fd = -1;
  /** Set by the owner before anything is asked of the socket. */
  handler: SocketHandler | null = null;

  /** The owner wants to receive. */
  receiving = false;
  /** A receive is armed in the kernel. */
  receiveArmed = false;
  /** A send is in the kernel. */
  sendArmed = false;
  /** FIN once the queue has drained. */
  shutdownWanted = false;
  connecting = false;
  /** Bytes that the handler has been given, and bytes that were queued to be sent, since the socket is here; spliced ones are in neither. */
  receivedBytes = 0;
  writtenBytes = 0;
  /** Operations the kernel still holds for this life of the object. */
  pending = 0;
  /** What is moved within the kernel from here, to here; null where nothing is. */
  splicedTo: Splice | null = null;
  splicedFrom: Splice | null = null;
  /** Bits with which a driver without a kernel queue notes what it still has to do for this life of the object. */
  marks = 0;

  /** Send queue: triples (buffer, start, end) in a growing ring; most sockets never hold more than one. */
  queue: Int32Array = EMPTY_QUEUE;
  queueHead = 0;
  queueLength = 0;
  queuedBytes = 0;

  constructor(index: number) {
    this.index = index;
  }
}

/** One direction that is moved within the kernel; see `splice.ts`. */
export interface Splice {
  readonly from: Socket;
  readonly to: Socket;
  /** Bytes on their way between the two. */
  readonly held: number;
  /** The errno of what broke. */
  readonly error: number;
  /** io_uring is asked to tell when there is something to read, room to write. */
  readAwaited: boolean;
  writeAwaited: boolean;
  /** What comes is no bulk. */
  readonly idles: boolean;
  step(): number;
  close(): void;
}

const EMPTY_QUEUE = new Int32Array(0);
