// Fields behind a body, in `onRequestEnd` and `onResponseEnd`. They can be changed where there are some; none can be added where there are none.
import { Headers } from "./headers";

export class Trailers extends Headers {}
