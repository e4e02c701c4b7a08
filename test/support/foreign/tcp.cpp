// A Proxy-Wasm plugin (0.2.1) for tests of TCP: holds a client's bytes until there is a line, asks an upstream about it where its
// configuration says `ask`, and answers in capitals.
#include "proxy_wasm.hpp"
#include <map>

namespace {
bool asks = false;
std::map<uint32_t, uint32_t> waiting;
} // namespace

EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}
EXPORT(proxy_on_memory_allocate) void *proxy_on_memory_allocate(size_t size) { return malloc(size); }
EXPORT(proxy_on_context_create) void proxy_on_context_create(uint32_t, uint32_t) {}

EXPORT(proxy_on_configure) uint32_t proxy_on_configure(uint32_t, uint32_t size) {
  asks = buffer(PLUGIN_CONFIGURATION, size) == "ask";
  return 1;
}

EXPORT(proxy_on_new_connection) uint32_t proxy_on_new_connection(uint32_t) { return CONTINUE; }

EXPORT(proxy_on_downstream_data) uint32_t proxy_on_downstream_data(uint32_t id, uint32_t size, uint32_t last) {
  for (const auto &[call, context] : waiting) {
    if (context == id) return PAUSE;
  }
  if (size == 0 && last) return CONTINUE;
  const std::string text = buffer(DOWNSTREAM, size);
  if (text.find('\n') == std::string::npos) return PAUSE;
  if (text.rfind("DENY", 0) == 0) {
    proxy_close_stream(DOWNSTREAM);
    return PAUSE;
  }
  std::string from;
  property("source.address", from);
  set_buffer(DOWNSTREAM, size, from + " says " + text);
  if (!asks) return CONTINUE;
  uint32_t call = 0;
  const std::string user = text.substr(0, text.find('\n'));
  if (call_out("auth", {{":method", "GET"}, {":path", "/check?" + user}, {":authority", "auth.test"}}, "", 20000, &call) != OK) {
    proxy_close_stream(DOWNSTREAM);
  }
  waiting[call] = id;
  return PAUSE;
}

EXPORT(proxy_on_upstream_data) uint32_t proxy_on_upstream_data(uint32_t, uint32_t size, uint32_t) {
  std::string text = buffer(UPSTREAM, size);
  for (char &letter : text) {
    if (letter >= 'a' && letter <= 'z') letter -= 'a' - 'A';
  }
  set_buffer(UPSTREAM, size, text);
  return CONTINUE;
}

EXPORT(proxy_on_http_call_response)
void proxy_on_http_call_response(uint32_t, uint32_t call, uint32_t, uint32_t, uint32_t) {
  const auto found = waiting.find(call);
  if (found == waiting.end()) return;
  const std::string status = header(CALL_HEADERS, ":status");
  proxy_set_effective_context(found->second);
  waiting.erase(found);
  if (status == "200") proxy_continue_stream(DOWNSTREAM);
  else proxy_close_stream(DOWNSTREAM);
}

EXPORT(proxy_on_downstream_connection_close) void proxy_on_downstream_connection_close(uint32_t, uint32_t) {
  log_info("a client has gone");
}
