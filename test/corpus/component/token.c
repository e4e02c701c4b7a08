// A token check as a component, in C from the canonical ABI alone: clang, wasm-ld, and no library.
typedef unsigned int u32;
typedef unsigned char u8;

#define IMPORT(interface, name) \
  __attribute__((import_module("penstock:plugin/" interface "@1.0.0"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

struct bytes { u8 *at; u32 length; };
struct some_bytes { u32 is_some; struct bytes value; };

IMPORT("http", "header") void http_header(u32 head, const char *name, u32 length, struct some_bytes *answer);
IMPORT("http", "set-header") u32 http_set_header(u32 head, const char *name, u32, const char *value, u32);
IMPORT("http", "reply") void http_reply(u32 status, const char *body, u32 length);
IMPORT("config", "get") void config_get(const char *key, u32 length, struct some_bytes *answer);
IMPORT("log", "write") void log_write(u32 level, const char *text, u32 length);

enum { CONTINUE, REPLY };
enum { REQUEST };
enum { WARN = 2 };

#define TEXT(literal) literal, sizeof(literal) - 1

// What is allocated for answers is needed until the hook is over: then all of it is free again.
static u8 heap[16384];
static u32 used;
static struct bytes token;
static u32 kept;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, u32 had, u32 align, u32 wanted) {
  if (old != 0 && wanted <= had) return old;
  used = (used + align - 1) & -align;
  if (used + wanted > sizeof heap) __builtin_trap();
  u8 *at = heap + used;
  used += wanted;
  for (u32 i = 0; i < had; i++) at[i] = ((u8 *)old)[i];
  return at;
}

EXPORT("on-configure") u32 on_configure(void) {
  struct some_bytes answer;
  config_get(TEXT("token"), &answer);
  if ((u8)answer.is_some == 0) {
    log_write(WARN, TEXT("the route does not configure a token"));
    return 0;
  }
  token = answer.value;
  kept = used;
  return 1;
}

EXPORT("on-request") u32 on_request(void) {
  struct some_bytes answer;
  http_header(REQUEST, TEXT("x-token"), &answer);
  u32 same = (u8)answer.is_some && answer.value.length == token.length;
  for (u32 i = 0; same && i < token.length; i++) same = answer.value.at[i] == token.at[i];
  used = kept;
  if (!same) {
    http_reply(401, TEXT("no token\n"));
    return REPLY;
  }
  http_set_header(REQUEST, TEXT("x-checked"), TEXT("1"));
  return CONTINUE;
}
