// A Proxy-Wasm plugin (0.2.1) for tests of HTTP: what it does stands in its configuration, one word, and in its requests.
#include "proxy_wasm.hpp"
#include <map>

namespace {
std::string mode;
uint32_t queue = 0;
uint32_t requests = 0;
// Contexts that wait for an answer, by the call's id.
std::map<uint32_t, uint32_t> waiting;

std::string body_of(uint32_t type, size_t size) { return buffer(type, size); }

std::string upper(std::string text) {
  for (char &letter : text) {
    if (letter >= 'a' && letter <= 'z') letter -= 'a' - 'A';
  }
  return text;
}

// A counter that several plugins raise: read, add, write if nobody was faster.
uint32_t count_up(std::string_view key) {
  for (int attempt = 0; attempt < 10; attempt++) {
    Given given;
    uint32_t cas = 0;
    proxy_get_shared_data(key.data(), key.size(), &given.data, &given.size, &cas);
    const uint32_t next = (given.size == 0 ? 0 : std::stoul(given.text())) + 1;
    const std::string text = std::to_string(next);
    if (proxy_set_shared_data(key.data(), key.size(), text.data(), text.size(), cas) == OK) return next;
  }
  return 0;
}

void dump_properties() {
  for (const char *path : {"request.path", "request.method", "request.host", "request.scheme", "request.protocol",
                           "request.headers.x-probe", "plugin_name", "plugin_root_id", "route_name", "cluster_name", "source.address",
                           "connection.mtls", "request.size", "no.such.thing"}) {
    std::string value;
    std::string name(path);
    for (char &letter : name) {
      if (letter == '.' || letter == '_') letter = '-';
    }
    if (!property(path, value)) value = "absent";
    else if (value.size() == 8 && value.find('\0') != std::string::npos) value = std::to_string(*reinterpret_cast<const int64_t *>(value.data()));
    else if (value.size() == 1 && value[0] < 2) value = value[0] == 1 ? "true" : "false";
    set_header(REQUEST_HEADERS, "x-p-" + name, value);
  }
}
} // namespace

EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}
EXPORT(proxy_on_memory_allocate) void *proxy_on_memory_allocate(size_t size) { return malloc(size); }
EXPORT(proxy_on_context_create) void proxy_on_context_create(uint32_t, uint32_t) {}
EXPORT(proxy_on_vm_start) uint32_t proxy_on_vm_start(uint32_t, uint32_t) { return 1; }

EXPORT(proxy_on_configure) uint32_t proxy_on_configure(uint32_t, uint32_t size) {
  mode = buffer(PLUGIN_CONFIGURATION, size);
  if (mode == "refuse") {
    const std::string_view reason = "this configuration is not for me";
    proxy_log(4, reason.data(), reason.size());
    return 0;
  }
  if (mode == "ticks") {
    proxy_set_tick_period_milliseconds(20);
    proxy_register_shared_queue("jobs", 4, &queue);
  }
  return 1;
}

EXPORT(proxy_on_request_headers) uint32_t proxy_on_request_headers(uint32_t id, uint32_t count, uint32_t last) {
  requests++;
  if (mode == "headers") {
    if (header(REQUEST_HEADERS, "x-token") != "s3cret") {
      respond(401, "no token\n", {{"x-why", "token"}, {"content-type", "text/plain"}});
      return PAUSE;
    }
    add_header(REQUEST_HEADERS, "x-seen", std::to_string(count));
    add_header(REQUEST_HEADERS, "x-last", std::to_string(last));
    remove_header(REQUEST_HEADERS, "x-token");
    set_header(REQUEST_HEADERS, ":path", header(REQUEST_HEADERS, ":path") + "&by=plugin");
    set_header(REQUEST_HEADERS, "x-names", std::to_string(headers(REQUEST_HEADERS).size()));
  } else if (mode == "body") {
    remove_header(REQUEST_HEADERS, "content-length");
  } else if (mode == "call" || mode == "gone") {
    uint32_t call = 0;
    const Pairs fields = {{":method", "POST"}, {":path", "/check?" + header(REQUEST_HEADERS, "x-user")}, {":authority", "auth.test"}, {"x-from", "plugin"}};
    const uint32_t status = call_out(mode == "gone" ? "gone" : "auth", fields, "who", 20000, &call);
    if (status != OK) {
      respond(500, "no call: " + std::to_string(status) + "\n");
      return PAUSE;
    }
    waiting[call] = id;
    return PAUSE;
  } else if (mode == "count") {
    set_header(REQUEST_HEADERS, "x-count", std::to_string(count_up("visits")));
    set_header(REQUEST_HEADERS, "x-stale", std::to_string(proxy_set_shared_data("visits", 6, "0", 1, 1)));
  } else if (mode == "ticks") {
    const std::string job = header(REQUEST_HEADERS, "x-job");
    if (!job.empty()) proxy_enqueue_shared_queue(queue, job.data(), job.size());
    Given ticks;
    uint32_t cas = 0;
    proxy_get_shared_data("ticks", 5, &ticks.data, &ticks.size, &cas);
    set_header(REQUEST_HEADERS, "x-ticks", ticks.text());
    Given jobs;
    proxy_get_shared_data("jobs", 4, &jobs.data, &jobs.size, &cas);
    set_header(REQUEST_HEADERS, "x-jobs", jobs.text());
  } else if (mode == "properties") {
    dump_properties();
    proxy_set_property("mine", 4, "yes", 3);
  } else if (mode == "refused") {
    uint32_t id = 0;
    char *data = nullptr;
    size_t size = 0;
    set_header(REQUEST_HEADERS, "x-grpc", std::to_string(proxy_grpc_call("auth", 4, "s", 1, "m", 1, "", 0, "", 0, 100, &id)));
    set_header(REQUEST_HEADERS, "x-foreign", std::to_string(proxy_call_foreign_function("f", 1, "", 0, &data, &size)));
    set_header(REQUEST_HEADERS, "x-denied", std::to_string(call_out("secret", {{":method", "GET"}, {":path", "/"}, {":authority", "a"}}, "", 100, &id)));
    set_header(REQUEST_HEADERS, "x-break", std::to_string(set_header(REQUEST_HEADERS, "x-a", "a\r\nx-b: b")));
  } else if (mode == "trap" && header(REQUEST_HEADERS, "x-trap") == "now") {
    __builtin_trap();
  } else if (mode == "wait") {
    return last ? CONTINUE : PAUSE;
  }
  return CONTINUE;
}

EXPORT(proxy_on_request_body) uint32_t proxy_on_request_body(uint32_t, uint32_t size, uint32_t last) {
  if (mode == "wait") {
    if (!last) return PAUSE;
    set_header(REQUEST_HEADERS, "x-length", std::to_string(size));
    return CONTINUE;
  }
  if (mode == "trailers" && last) add_header(REQUEST_TRAILERS, "x-added", "to the request");
  if (mode != "body") return CONTINUE;
  if (!last) return PAUSE;
  const std::string body = body_of(REQUEST_BODY, size);
  if (body == "forbidden") {
    respond(403, "not that\n");
    return PAUSE;
  }
  set_buffer(REQUEST_BODY, size, "<" + upper(body) + ">");
  return CONTINUE;
}

EXPORT(proxy_on_request_trailers) uint32_t proxy_on_request_trailers(uint32_t, uint32_t count) {
  set_header(REQUEST_TRAILERS, "x-trailers", std::to_string(count));
  return CONTINUE;
}

EXPORT(proxy_on_response_headers) uint32_t proxy_on_response_headers(uint32_t, uint32_t, uint32_t) {
  if (mode == "headers") {
    add_header(RESPONSE_HEADERS, "x-status-was", header(RESPONSE_HEADERS, ":status"));
    set_header(RESPONSE_HEADERS, ":status", "202");
    set_header(RESPONSE_HEADERS, "server", "plugin");
  } else if (mode == "body") {
    remove_header(RESPONSE_HEADERS, "content-length");
  } else if (mode == "trailers") {
    add_header(RESPONSE_HEADERS, "trailer", "x-added");
  } else if (mode == "wait") {
    return PAUSE;
  } else if (mode == "properties") {
    std::string mine;
    property("mine", mine);
    set_header(RESPONSE_HEADERS, "x-mine", mine);
  }
  return CONTINUE;
}

EXPORT(proxy_on_response_body) uint32_t proxy_on_response_body(uint32_t, uint32_t size, uint32_t last) {
  if (mode == "wait") {
    if (!last) return PAUSE;
    const std::string body = body_of(RESPONSE_BODY, size);
    set_header(RESPONSE_HEADERS, "x-body-bytes", std::to_string(body.size()));
    set_buffer(RESPONSE_BODY, size, body + "(read)");
    return CONTINUE;
  }
  if (mode == "trailers" && last) {
    add_header(RESPONSE_TRAILERS, "x-added", "once");
    set_header(RESPONSE_TRAILERS, "x-added", header(RESPONSE_TRAILERS, "x-added") + " and again");
    add_header(RESPONSE_TRAILERS, "x-gone", "soon");
    remove_header(RESPONSE_TRAILERS, "x-gone");
    add_header(RESPONSE_TRAILERS, "set-cookie", "not=here");
  }
  if (mode != "body" || size == 0) return CONTINUE;
  set_buffer(RESPONSE_BODY, size, upper(body_of(RESPONSE_BODY, size)));
  return CONTINUE;
}

EXPORT(proxy_on_http_call_response)
void proxy_on_http_call_response(uint32_t, uint32_t call, uint32_t count, uint32_t size, uint32_t) {
  const auto found = waiting.find(call);
  if (found == waiting.end()) return;
  proxy_set_effective_context(found->second);
  waiting.erase(found);
  if (count == 0) {
    respond(502, "no answer\n");
    return;
  }
  const std::string status = header(CALL_HEADERS, ":status");
  const std::string body = buffer(CALL_BODY, size);
  if (status != "200") {
    respond(403, "auth says " + status + " " + body);
    return;
  }
  set_header(REQUEST_HEADERS, "x-user-id", body);
  set_header(REQUEST_HEADERS, "x-kind", header(CALL_HEADERS, "x-kind"));
  proxy_continue_stream(0);
}

EXPORT(proxy_on_tick) void proxy_on_tick(uint32_t) { count_up("ticks"); }

EXPORT(proxy_on_queue_ready) void proxy_on_queue_ready(uint32_t, uint32_t id) {
  Given job;
  if (proxy_dequeue_shared_queue(id, &job.data, &job.size) != OK) return;
  uint32_t cas = 0;
  Given done;
  proxy_get_shared_data("jobs", 4, &done.data, &done.size, &cas);
  const std::string all = done.text() + job.text() + ";";
  proxy_set_shared_data("jobs", 4, all.data(), all.size(), 0);
}

EXPORT(proxy_on_done) uint32_t proxy_on_done(uint32_t) { return 1; }

EXPORT(proxy_on_log) void proxy_on_log(uint32_t id) {
  if (mode != "log" || id == 1) return;
  static uint32_t metric = 0;
  if (metric == 0) proxy_define_metric(0, "logged", 6, &metric);
  proxy_increment_metric(metric, 1);
  log_info("done " + header(REQUEST_HEADERS, ":path") + " " + header(RESPONSE_HEADERS, ":status") + " " + header(RESPONSE_HEADERS, "x-api"));
}

EXPORT(proxy_on_delete) void proxy_on_delete(uint32_t) {}
