// The guest's side of Proxy-Wasm, written from its specification for tests: what a host must offer, and a few lines of comfort.
// Memory that the host hands over comes from malloc, and is the guest's to free.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#define IMPORT(name) extern "C" __attribute__((import_module("env"), import_name(#name))) uint32_t name
#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

IMPORT(proxy_log)(uint32_t level, const char *text, size_t size);
IMPORT(proxy_set_tick_period_milliseconds)(uint32_t ms);
IMPORT(proxy_get_buffer_bytes)(uint32_t type, uint32_t start, uint32_t length, char **data, size_t *size);
IMPORT(proxy_set_buffer_bytes)(uint32_t type, uint32_t start, uint32_t length, const char *data, size_t size);
IMPORT(proxy_get_header_map_pairs)(uint32_t type, char **data, size_t *size);
IMPORT(proxy_get_header_map_value)(uint32_t type, const char *key, size_t key_size, char **data, size_t *size);
IMPORT(proxy_add_header_map_value)(uint32_t type, const char *key, size_t key_size, const char *value, size_t size);
IMPORT(proxy_replace_header_map_value)(uint32_t type, const char *key, size_t key_size, const char *value, size_t size);
IMPORT(proxy_remove_header_map_value)(uint32_t type, const char *key, size_t key_size);
IMPORT(proxy_continue_stream)(uint32_t type);
IMPORT(proxy_close_stream)(uint32_t type);
IMPORT(proxy_send_local_response)
(uint32_t status, const char *details, size_t details_size, const char *body, size_t body_size, const char *headers,
 size_t headers_size, uint32_t grpc_status);
IMPORT(proxy_set_effective_context)(uint32_t id);
IMPORT(proxy_http_call)
(const char *upstream, size_t upstream_size, const char *headers, size_t headers_size, const char *body, size_t body_size,
 const char *trailers, size_t trailers_size, uint32_t timeout_ms, uint32_t *id);
IMPORT(proxy_grpc_call)
(const char *upstream, size_t upstream_size, const char *service, size_t service_size, const char *method,
 size_t method_size, const char *metadata, size_t metadata_size, const char *message, size_t message_size,
 uint32_t timeout_ms, uint32_t *id);
IMPORT(proxy_get_shared_data)(const char *key, size_t key_size, char **data, size_t *size, uint32_t *cas);
IMPORT(proxy_set_shared_data)(const char *key, size_t key_size, const char *data, size_t size, uint32_t cas);
IMPORT(proxy_register_shared_queue)(const char *name, size_t size, uint32_t *id);
IMPORT(proxy_enqueue_shared_queue)(uint32_t id, const char *data, size_t size);
IMPORT(proxy_dequeue_shared_queue)(uint32_t id, char **data, size_t *size);
IMPORT(proxy_define_metric)(uint32_t type, const char *name, size_t size, uint32_t *id);
IMPORT(proxy_increment_metric)(uint32_t id, int64_t delta);
IMPORT(proxy_get_metric)(uint32_t id, uint64_t *value);
IMPORT(proxy_get_property)(const char *path, size_t path_size, char **data, size_t *size);
IMPORT(proxy_set_property)(const char *path, size_t path_size, const char *data, size_t size);
IMPORT(proxy_call_foreign_function)
(const char *name, size_t name_size, const char *argument, size_t argument_size, char **data, size_t *size);

enum { OK = 0, NOT_FOUND = 1, CAS_MISMATCH = 8, UNIMPLEMENTED = 12 };
enum { CONTINUE = 0, PAUSE = 1 };
enum { REQUEST_HEADERS = 0, REQUEST_TRAILERS = 1, RESPONSE_HEADERS = 2, RESPONSE_TRAILERS = 3, CALL_HEADERS = 6 };
enum { REQUEST_BODY = 0, RESPONSE_BODY = 1, DOWNSTREAM = 2, UPSTREAM = 3, CALL_BODY = 4, PLUGIN_CONFIGURATION = 7 };
enum { NO_GRPC_STATUS = 0xffffffffu };

using Pairs = std::vector<std::pair<std::string, std::string>>;

// What the host has put into memory of ours.
struct Given {
  char *data = nullptr;
  size_t size = 0;
  ~Given() { free(data); }
  std::string text() const { return std::string(data == nullptr ? "" : data, size); }
};

inline std::string header(uint32_t map, std::string_view name) {
  Given value;
  proxy_get_header_map_value(map, name.data(), name.size(), &value.data, &value.size);
  return value.text();
}
inline uint32_t set_header(uint32_t map, std::string_view name, std::string_view value) {
  return proxy_replace_header_map_value(map, name.data(), name.size(), value.data(), value.size());
}
inline uint32_t add_header(uint32_t map, std::string_view name, std::string_view value) {
  return proxy_add_header_map_value(map, name.data(), name.size(), value.data(), value.size());
}
inline uint32_t remove_header(uint32_t map, std::string_view name) {
  return proxy_remove_header_map_value(map, name.data(), name.size());
}
inline std::string buffer(uint32_t type, size_t length) {
  Given bytes;
  proxy_get_buffer_bytes(type, 0, length, &bytes.data, &bytes.size);
  return bytes.text();
}
inline uint32_t set_buffer(uint32_t type, size_t replaced, std::string_view bytes) {
  return proxy_set_buffer_bytes(type, 0, replaced, bytes.data(), bytes.size());
}
inline void log_info(std::string_view text) { proxy_log(2, text.data(), text.size()); }

inline void put_word(std::string &out, uint32_t value) { out.append(reinterpret_cast<const char *>(&value), 4); }

inline std::string serialised(const Pairs &pairs) {
  std::string out;
  put_word(out, pairs.size());
  for (const auto &[name, value] : pairs) {
    put_word(out, name.size());
    put_word(out, value.size());
  }
  for (const auto &[name, value] : pairs) {
    out.append(name).push_back('\0');
    out.append(value).push_back('\0');
  }
  return out;
}

inline Pairs headers(uint32_t map) {
  Given given;
  Pairs pairs;
  if (proxy_get_header_map_pairs(map, &given.data, &given.size) != OK || given.size < 4) return pairs;
  const auto *sizes = reinterpret_cast<const uint32_t *>(given.data);
  const uint32_t count = sizes[0];
  const char *at = given.data + 4 + count * 8;
  for (uint32_t i = 0; i < count; i++) {
    std::string name(at, sizes[1 + 2 * i]);
    at += name.size() + 1;
    std::string value(at, sizes[2 + 2 * i]);
    at += value.size() + 1;
    pairs.emplace_back(std::move(name), std::move(value));
  }
  return pairs;
}

inline uint32_t respond(uint32_t status, std::string_view body, const Pairs &extra = {}) {
  const std::string fields = serialised(extra);
  return proxy_send_local_response(status, "", 0, body.data(), body.size(), fields.data(), fields.size(), NO_GRPC_STATUS);
}

// The segments of a path are separated by a NUL.
inline bool property(std::string path, std::string &value) {
  for (char &letter : path) {
    if (letter == '.') letter = '\0';
  }
  Given given;
  if (proxy_get_property(path.data(), path.size(), &given.data, &given.size) != OK) return false;
  value = given.text();
  return true;
}

inline uint32_t call_out(std::string_view upstream, const Pairs &fields, std::string_view body, uint32_t timeout_ms,
                         uint32_t *id) {
  const std::string text = serialised(fields);
  return proxy_http_call(upstream.data(), upstream.size(), text.data(), text.size(), body.data(), body.size(), "", 0,
                         timeout_ms, id);
}
