import { thrower } from "#core/errors.ts";

/** What scripts do wrong, found where they do it: the log has file and line. What peers do wrong is an `Ending`. */
export const PIPELINE_ERRORS = {
  PENSTOCK_PIPELINE_STALE_DATA: {
    message: "these bytes were given back when the handler that got them had returned",
    status: 500,
    hint: "keep a copy: `data.toBytes()` or `data.toString()`, within the handler or before its promise settles",
  },
  PENSTOCK_PIPELINE_STALE_HEAD: {
    message: "the message this head belongs to is over",
    status: 500,
    hint: "copy what is needed later: `msg.head.toObject()`, or single fields",
  },
  PENSTOCK_PIPELINE_HEAD: {
    message: "a message head can't be that",
    status: 500,
    hint: "names are tokens, values have no line ends, length and connection fields are the gateway's own",
  },
  PENSTOCK_PIPELINE_EMISSION: {
    message: "a handler answered with what is no event",
    status: 500,
    hint: "answer nothing, MessageStart, Data, MessageEnd, Message, StreamEnd, text, bytes, or an array of those",
  },
  PENSTOCK_PIPELINE_LAYOUT: {
    message: "the layout is not complete",
    status: 422,
    hint: "a filter that joins pipelines (`demuxHTTP`, `muxHTTP`, `fork` …) is followed by `.to(...)`",
  },
  PENSTOCK_PIPELINE_TARGET: {
    message: "not a place to connect to",
    status: 500,
    hint: "a target is `10.0.0.1:80`, `[2001:db8::1]:80` or `unix:/run/app.sock`",
  },
  PENSTOCK_PIPELINE_LISTEN: {
    message: "can't be listened on",
    status: 422,
    hint: "`listen` takes a port, `127.0.0.1:8000`, `[::1]:8000` or `unix:/run/edge.sock`, each once",
  },
  PENSTOCK_PIPELINE_OUTSIDE: {
    message: "there is no gateway here that would do it",
    status: 422,
    hint: "call it at the top of a script that is started by `penstock run --script FILE`",
  },
  PENSTOCK_PIPELINE_FILE: {
    message: "the script was sent without this file",
    status: 422,
    hint: 'name it by a path written out, at the top of the script: `load("./hosts.json")`',
  },
  PENSTOCK_PIPELINE_JSON: {
    message: "the body is not JSON",
    status: 400,
    hint: "look at `msg.text` first, or catch this",
  },
} as const;

export const pipelineError = thrower(PIPELINE_ERRORS);
