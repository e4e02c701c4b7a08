/** When a guest runs, as bits, so that a host call can say in one test when it may be made. */

/** It has been ended: every host call refuses. */
export const PHASE_DEAD: number = 0;
export const PHASE_IDLE: number = 1;
export const PHASE_CONFIGURE: number = 2;
export const PHASE_REQUEST: number = 4;
export const PHASE_RESPONSE: number = 8;
export const PHASE_END: number = 16;

export const PHASE_REQUEST_BODY: number = 32;
export const PHASE_REQUEST_END: number = 64;
export const PHASE_RESPONSE_BODY: number = 128;
export const PHASE_RESPONSE_END: number = 256;
/** Of a stream: it begins, and its bytes. */
export const PHASE_CONNECTION: number = 512;
export const PHASE_DATA: number = 1024;
/** Of nothing: by the clock, and by the admin API. */
export const PHASE_TICK: number = 2048;
export const PHASE_MESSAGE: number = 4096;

/** A hook of a head. */
export const PHASES_HEADS: number = PHASE_REQUEST | PHASE_RESPONSE;
/** A body's or a stream's bytes are at hand. */
export const PHASES_BYTES: number = PHASE_REQUEST_BODY | PHASE_RESPONSE_BODY | PHASE_DATA;
/** The request's head can be read. */
export const PHASES_REQUEST_HEAD: number =
  PHASES_HEADS | PHASE_REQUEST_BODY | PHASE_REQUEST_END | PHASE_RESPONSE_BODY | PHASE_RESPONSE_END;
/** A local reply can be made. */
export const PHASES_REPLY: number = PHASES_HEADS | PHASE_REQUEST_BODY | PHASE_RESPONSE_BODY;
/** Any hook that belongs to a stream. */
export const PHASES_STREAM: number = PHASE_CONNECTION | PHASE_DATA;
/** Any hook that belongs to an exchange or a stream: there is a client. */
export const PHASES_EXCHANGE: number = PHASES_REQUEST_HEAD | PHASES_STREAM | PHASE_END;
/** A hook that may wait: all but the configuration, which a guest has to have at once. */
export const PHASES_WAIT: number = PHASES_EXCHANGE | PHASE_TICK | PHASE_MESSAGE;
/** Any hook. */
export const PHASES_ALL: number = PHASES_EXCHANGE | PHASE_CONFIGURE | PHASE_TICK | PHASE_MESSAGE;
