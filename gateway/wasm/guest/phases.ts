/** When a guest runs, as bits, so that a host call can say in one test when it may be made. */

/** It has been ended: every host call refuses. */
export const PHASE_DEAD: number = 0;
export const PHASE_IDLE: number = 1;
export const PHASE_CONFIGURE: number = 2;
export const PHASE_REQUEST: number = 4;
export const PHASE_RESPONSE: number = 8;
export const PHASE_END: number = 16;

/** A request's head can be read. */
export const PHASES_HEADS: number = PHASE_REQUEST | PHASE_RESPONSE;
/** Any hook. */
export const PHASES_ALL: number = PHASE_CONFIGURE | PHASE_REQUEST | PHASE_RESPONSE | PHASE_END;
/** Any hook that belongs to an exchange. */
export const PHASES_EXCHANGE: number = PHASE_REQUEST | PHASE_RESPONSE | PHASE_END;
