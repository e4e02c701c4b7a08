/*
 * The upstream of every side of a bench: one thread, epoll, keep-alive and pipelining, always the same answer. It does as
 * little as an HTTP/1.1 server can, so that the proxy in front of it is what is measured.
 *
 *     upstream [BYTES]  listens on a free port of 127.0.0.1 and prints it, one line; answers have a body of BYTES (100)
 *
 * GET /head answers with the received head as the body: the bench looks there whether a filter did its work. A request
 * with Transfer-Encoding is refused with 501, a head of more than HEAD_MAX bytes with 431.
 *
 * A connection owns its buffers from accept to close. Input:
 *
 *     in   [ consumed | head so far … | free ]      moved to the front when the input runs out in mid-head
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX 16384
#define EVENTS_MAX 512

#define BODY_MAX (64 << 20)
static char *answer;
static size_t answer_length;
static const char unsupported[] = "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
static const char too_large[] =
    "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

struct connection {
  int fd;
  bool closing;       /* once the output is sent */
  bool waiting;       /* for room in the socket: nothing is read meanwhile */
  size_t in_used;
  size_t body_left;   /* bytes of the current request's body still to be skipped */
  char *out;          /* what the socket had no room for */
  size_t out_used, out_sent;
  char in[HEAD_MAX];
};

static int poller;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void watch(struct connection *c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(poller, operation, c->fd, &event) < 0) fail("epoll_ctl");
}

static void end(struct connection *c) {
  close(c->fd);
  free(c->out);
  free(c);
}

/* Sends, or keeps what there is no room for. False when the connection is gone. */
static bool put(struct connection *c, const char *bytes, size_t length) {
  size_t sent = 0;
  if (!c->waiting) {
    ssize_t n = send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return false;
    sent = n < 0 ? 0 : (size_t)n;
  }
  if (sent == length) return true;
  char *grown = realloc(c->out, c->out_used + length - sent);
  if (grown == NULL) fail("realloc");
  memcpy(grown + c->out_used, bytes + sent, length - sent);
  c->out = grown;
  c->out_used += length - sent;
  if (!c->waiting) watch(c, EPOLL_CTL_MOD, EPOLLOUT);
  c->waiting = true;
  return true;
}

static bool put_head(struct connection *c, const char *head, size_t length) {
  char line[96];
  int n = snprintf(line, sizeof line, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
  return put(c, line, (size_t)n) && put(c, head, length);
}

/* The value of a field of the head, or NULL. The head ends with an empty line, so every line has an end. */
static const char *field(const char *head, const char *end_of_head, const char *name) {
  size_t length = strlen(name);
  for (const char *line = head; line != NULL && line + length + 1 < end_of_head;) {
    if (strncasecmp(line, name, length) == 0 && line[length] == ':') return line + length + 1;
    line = memchr(line, '\n', (size_t)(end_of_head - line));
    if (line != NULL) line++;
  }
  return NULL;
}

/* Answers one request. False when the connection is gone. */
static bool serve(struct connection *c, const char *head, const char *end_of_head) {
  /* A GET without a body, which is all a load has, is answered without a look at its fields. */
  if (memcmp(head, "GET ", 4) != 0) {
    if (field(head, end_of_head, "transfer-encoding") != NULL) {
      c->closing = true;
      return put(c, unsupported, sizeof unsupported - 1);
    }
    const char *length = field(head, end_of_head, "content-length");
    c->body_left = length == NULL ? 0 : strtoul(length, NULL, 10);
  } else if (memcmp(head, "GET /head ", 10) == 0) {
    return put_head(c, head, (size_t)(end_of_head - head));
  }
  return put(c, answer, answer_length);
}

/* All requests that are whole. False when the connection is gone. */
static bool consume(struct connection *c) {
  size_t at = 0;
  while (at < c->in_used && !c->closing) {
    if (c->body_left > 0) {
      size_t skipped = c->in_used - at < c->body_left ? c->in_used - at : c->body_left;
      at += skipped;
      c->body_left -= skipped;
      continue;
    }
    const char *end_of_head = memmem(c->in + at, c->in_used - at, "\r\n\r\n", 4);
    if (end_of_head == NULL) {
      if (at > 0 || c->in_used < HEAD_MAX) break;
      c->closing = true;
      return put(c, too_large, sizeof too_large - 1);
    }
    if (!serve(c, c->in + at, end_of_head + 4)) return false;
    at = (size_t)(end_of_head + 4 - c->in);
  }
  memmove(c->in, c->in + at, c->in_used - at);
  c->in_used -= at;
  return true;
}

/* False when the connection is gone. */
static bool readable(struct connection *c) {
  ssize_t n = recv(c->fd, c->in + c->in_used, HEAD_MAX - c->in_used, 0);
  if (n < 0) return errno == EAGAIN;
  if (n == 0) return false;
  c->in_used += (size_t)n;
  return consume(c) && !(c->closing && !c->waiting);
}

/* False when the connection is gone. */
static bool writable(struct connection *c) {
  ssize_t n = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent, MSG_NOSIGNAL);
  if (n < 0) return errno == EAGAIN;
  c->out_sent += (size_t)n;
  if (c->out_sent < c->out_used) return true;
  c->out_used = c->out_sent = 0;
  c->waiting = false;
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
  return !c->closing;
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *c = malloc(sizeof *c);
    if (c == NULL) fail("malloc");
    memset(c, 0, offsetof(struct connection, in));
    c->fd = fd;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static void make_answer(size_t bytes) {
  answer = malloc(bytes + 128);
  if (answer == NULL) fail("malloc");
  int head = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", bytes);
  for (size_t i = 0; i < bytes; i++) answer[(size_t)head + i] = (char)('0' + i % 10);
  answer_length = (size_t)head + bytes;
}

int main(int count, char **arguments) {
  unsigned long bytes = count > 1 ? strtoul(arguments[1], NULL, 10) : 100;
  if (count > 2 || bytes > BODY_MAX) {
    fputs("upstream [BYTES]\n", stderr);
    return 2;
  }
  make_answer(bytes);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0) fail("bind");
  if (listen(listener, 4096) < 0 || getsockname(listener, (struct sockaddr *)&address, &length) < 0) fail("listen");
  if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0) fail("epoll_create1");
  struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &listening) < 0) fail("epoll_ctl");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(poller, events, EVENTS_MAX, -1);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < ready; i++) {
      struct connection *c = events[i].data.ptr;
      if (c == NULL) accept_all(listener);
      else if (!(c->waiting ? writable(c) : readable(c))) end(c);
    }
  }
}
