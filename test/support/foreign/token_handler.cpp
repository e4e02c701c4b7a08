// The token check of the benches as an http-wasm plugin: reads a header, compares it, adds a header.
#include <cstdint>
#include <cstring>

#define IMPORT(result, name) extern "C" __attribute__((import_module("http_handler"), import_name(#name))) result host_##name
#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

IMPORT(uint64_t, get_header_values)(uint32_t kind, const char *name, uint32_t size, char *buffer, uint32_t limit);
IMPORT(void, add_header_value)(uint32_t kind, const char *name, uint32_t size, const char *value, uint32_t value_size);
IMPORT(void, set_status_code)(uint32_t status);

static char space[256];

EXPORT(handle_request) uint64_t handle_request() {
  if (host_get_header_values(0, "x-token", 7, space, sizeof space) != ((1ull << 32) | 7) || memcmp(space, "s3cret", 6) != 0) {
    host_set_status_code(401);
    return 0;
  }
  host_add_header_value(0, "x-checked", 9, "1", 1);
  return 1;
}

EXPORT(handle_response) void handle_response(uint32_t, uint32_t) {}
