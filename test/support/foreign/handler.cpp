// An http-wasm plugin for tests, its side of the http-handler ABI written from the published interface. What it does stands in
// its configuration, one word.
#include <cstdint>
#include <string>
#include <string_view>

#define IMPORT(result, name) extern "C" __attribute__((import_module("http_handler"), import_name(#name))) result host_##name
#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

IMPORT(uint32_t, enable_features)(uint32_t features);
IMPORT(uint32_t, get_config)(char *buffer, uint32_t limit);
IMPORT(void, log)(int32_t level, const char *text, uint32_t size);
IMPORT(uint32_t, log_enabled)(int32_t level);
IMPORT(uint32_t, get_method)(char *buffer, uint32_t limit);
IMPORT(void, set_method)(const char *text, uint32_t size);
IMPORT(uint32_t, get_uri)(char *buffer, uint32_t limit);
IMPORT(void, set_uri)(const char *text, uint32_t size);
IMPORT(uint32_t, get_protocol_version)(char *buffer, uint32_t limit);
IMPORT(uint32_t, get_source_addr)(char *buffer, uint32_t limit);
IMPORT(uint64_t, get_header_names)(uint32_t kind, char *buffer, uint32_t limit);
IMPORT(uint64_t, get_header_values)(uint32_t kind, const char *name, uint32_t size, char *buffer, uint32_t limit);
IMPORT(void, set_header_value)(uint32_t kind, const char *name, uint32_t size, const char *value, uint32_t value_size);
IMPORT(void, add_header_value)(uint32_t kind, const char *name, uint32_t size, const char *value, uint32_t value_size);
IMPORT(void, remove_header)(uint32_t kind, const char *name, uint32_t size);
IMPORT(uint64_t, read_body)(uint32_t kind, char *buffer, uint32_t limit);
IMPORT(void, write_body)(uint32_t kind, const char *bytes, uint32_t size);
IMPORT(uint32_t, get_status_code)();
IMPORT(void, set_status_code)(uint32_t status);

namespace {
enum { REQUEST = 0, RESPONSE = 1, OF_REQUEST = 2, OF_RESPONSE = 3 };
enum { BUFFER_REQUEST = 1, BUFFER_RESPONSE = 2, TRAILERS = 4 };
char space[65536];
std::string mode;
uint32_t features = 0;
uint32_t requests = 0;

std::string text(uint32_t size) { return std::string(space, size < sizeof space ? size : sizeof space); }

std::string header(uint32_t kind, std::string_view name) {
  const uint64_t found = host_get_header_values(kind, name.data(), name.size(), space, sizeof space);
  return found == 0 ? std::string() : std::string(space);
}

void set(uint32_t kind, std::string_view name, std::string_view value) {
  host_set_header_value(kind, name.data(), name.size(), value.data(), value.size());
}

// In small pieces, as a reader with a small buffer would.
std::string whole_body(uint32_t kind) {
  std::string body;
  for (;;) {
    const uint64_t read = host_read_body(kind, space, 1000);
    body.append(space, static_cast<uint32_t>(read));
    if ((read >> 32) != 0) return body;
  }
}
} // namespace

EXPORT(handle_request) uint64_t handle_request() {
  if (mode.empty()) {
    mode = text(host_get_config(space, sizeof space));
    if (mode == "bodies") features = host_enable_features(BUFFER_REQUEST | BUFFER_RESPONSE | TRAILERS);
  }
  requests++;
  if (mode == "heads") {
    if (header(REQUEST, "x-token") != "s3cret") {
      host_set_status_code(401);
      set(RESPONSE, "x-why", "token");
      host_write_body(RESPONSE, "no token\n", 9);
      return 0;
    }
    const std::string method = text(host_get_method(space, sizeof space));
    const std::string uri = text(host_get_uri(space, sizeof space));
    set(REQUEST, "x-was", method + " " + uri + " " + text(host_get_protocol_version(space, sizeof space)));
    set(REQUEST, "x-source", text(host_get_source_addr(space, sizeof space)));
    const uint64_t names = host_get_header_names(REQUEST, space, sizeof space);
    set(REQUEST, "x-names", std::to_string(names >> 32));
    const std::string token = "x-token";
    host_remove_header(REQUEST, token.data(), token.size());
    if (method == "GET") host_set_method("PUT", 3);
    const std::string moved = uri + "&by=plugin";
    host_set_uri(moved.data(), moved.size());
    set(RESPONSE, "x-early", "said before");
  } else if (mode == "bodies") {
    features = host_enable_features(BUFFER_REQUEST | BUFFER_RESPONSE | TRAILERS);
    const std::string body = whole_body(REQUEST);
    if (!body.empty()) {
      host_write_body(REQUEST, "<", 1);
      host_write_body(REQUEST, body.data(), body.size());
      host_write_body(REQUEST, ">", 1);
    }
    set(REQUEST, "x-features", std::to_string(features));
    set(OF_REQUEST, "x-size", header(OF_REQUEST, "x-sum") + "/" + std::to_string(body.size()));
  } else if (mode == "trailers") {
    host_enable_features(TRAILERS);
    set(OF_REQUEST, "x-by", "plugin");
    set(OF_RESPONSE, "x-said", "before");
  } else if (mode == "misuse") {
    host_write_body(REQUEST, space + sizeof space - 1, 0x7fffffff);
  } else if (mode == "log" && host_log_enabled(0) == 1) {
    host_log(0, "handled", 7);
  }
  return (static_cast<uint64_t>(requests) << 32) | 1;
}

EXPORT(handle_response) void handle_response(uint32_t context, uint32_t is_error) {
  if (mode == "heads") {
    set(RESPONSE, "x-context", std::to_string(context) + "/" + std::to_string(requests) + "/" + std::to_string(is_error));
    set(RESPONSE, "x-status", std::to_string(host_get_status_code()));
    host_set_status_code(202);
  } else if (mode == "bodies") {
    const std::string body = whole_body(RESPONSE);
    const std::string answer = std::to_string(body.size()) + ":" + body;
    host_write_body(RESPONSE, answer.data(), answer.size());
    set(OF_RESPONSE, "x-size", std::to_string(body.size()));
  } else if (mode == "trailers") {
    set(OF_RESPONSE, "x-status", std::to_string(host_get_status_code()));
  }
}
