/** Runs the hook of a phase. A switch over small integers, so that a hook costs no closure. */
import type { GuestHooks } from "#wasm/guest/hooks.ts";
import {
  PHASE_CONNECTION,
  PHASE_DATA,
  PHASE_END,
  PHASE_MESSAGE,
  PHASE_REQUEST,
  PHASE_REQUEST_BODY,
  PHASE_REQUEST_END,
  PHASE_RESPONSE,
  PHASE_RESPONSE_BODY,
  PHASE_RESPONSE_END,
  PHASE_TICK,
} from "#wasm/guest/phases.ts";
import { ACTION_CONTINUE } from "#wasm/guest/hooks.ts";

/** `last`: of a body or a stream's direction. `direction`: of a stream. The others take no notice. */
export function invoke(hooks: GuestHooks, phase: number, last: number, direction: number): number {
  switch (phase) {
    case PHASE_REQUEST:
      return hooks.requestHead();
    case PHASE_RESPONSE:
      return hooks.responseHead();
    case PHASE_REQUEST_BODY:
      return hooks.requestBody(last);
    case PHASE_RESPONSE_BODY:
      return hooks.responseBody(last);
    case PHASE_CONNECTION:
      return hooks.connection();
    case PHASE_DATA:
      return hooks.data(direction, last);
    default:
      tell(hooks, phase);
      return ACTION_CONTINUE;
  }
}

/** Hooks that answer nothing. */
function tell(hooks: GuestHooks, phase: number): void {
  if (phase === PHASE_END) hooks.end();
  else if (phase === PHASE_REQUEST_END) hooks.requestEnd();
  else if (phase === PHASE_RESPONSE_END) hooks.responseEnd();
  else if (phase === PHASE_TICK) hooks.tick();
  else if (phase === PHASE_MESSAGE) hooks.message();
}
