// The token check of the benches as a Proxy-Wasm plugin: reads a header, compares it, adds a header.
#include "proxy_wasm.hpp"
#include <cstring>

EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}
EXPORT(proxy_on_memory_allocate) void *proxy_on_memory_allocate(size_t size) { return malloc(size); }
EXPORT(proxy_on_context_create) void proxy_on_context_create(uint32_t, uint32_t) {}
EXPORT(proxy_on_done) uint32_t proxy_on_done(uint32_t) { return 1; }
EXPORT(proxy_on_delete) void proxy_on_delete(uint32_t) {}

EXPORT(proxy_on_request_headers) uint32_t proxy_on_request_headers(uint32_t, uint32_t, uint32_t) {
  Given token;
  proxy_get_header_map_value(REQUEST_HEADERS, "x-token", 7, &token.data, &token.size);
  if (token.size != 6 || memcmp(token.data, "s3cret", 6) != 0) {
    respond(401, "no token\n");
    return PAUSE;
  }
  proxy_add_header_map_value(REQUEST_HEADERS, "x-checked", 9, "1", 1);
  return CONTINUE;
}
