/** Both ends in one gateway; each also runs alone, on a machine of its own. */
import "./near.ts";
import "./far.ts";
