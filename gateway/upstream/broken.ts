/** The ways in which a connection to an endpoint fails an exchange after it was established: a closed set. */
export const BROKEN_CLOSED = 1;
export const BROKEN_RESET = 2;
export const BROKEN_TIMEOUT = 3;
export const BROKEN_BAD_RESPONSE = 4;
/** Not the endpoint's fault: this process is at its bound. */
export const BROKEN_NO_BUFFERS = 5;
/** The connection was dead or dirty before any of the request had left it: it can be sent again, whatever it is. */
export const BROKEN_UNUSED = 6;
export type Broken = 1 | 2 | 3 | 4 | 5 | 6;
