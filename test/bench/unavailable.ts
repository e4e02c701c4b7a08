/** A bench that can't run on this machine or in this build. The message completes "can't run here: …". */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}
