/*
 * A load whose rate does not depend on who answers it: requests are due at fixed times, whatever became of those before.
 * One that finds all connections busy waits for the next that is free, and its waiting counts: latency is from when a
 * request was due to when its answer was whole. A closed loop, like wrk's, asks less of who is slow and so flatters it.
 *
 *     open-loop PORT CONNECTIONS RATE SECONDS [PATHS]
 *
 * GET to 127.0.0.1:PORT, keep-alive, RATE requests a second for SECONDS. With PATHS the n-th request asks for
 * `/service-K/item`, K below PATHS in a mixed order; else for `/`. Prints one line of JSON: what was sent, answered by 200,
 * answered otherwise, lost (the connection ended or failed first; it is opened again), and latencies in microseconds.
 *
 * One thread, epoll. A connection owns its input from connect to close; of a body only the length is looked at.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define EVENTS_MAX 256
#define CONNECTIONS_MAX 4096
/* Answers that are still out when the time is over are waited for so long. */
#define DRAIN_NS 5000000000LL

struct connection {
  int fd;
  bool busy;
  int64_t due;      /* of the request that is out */
  int status;       /* of its answer; 0: the head is not whole yet */
  size_t body_left;
  size_t head_used;
  char head[HEAD_MAX];
};

static struct connection connections[CONNECTIONS_MAX];
static int idle[CONNECTIONS_MAX];
static int idle_count;
static int poller;
static uint16_t port;
static uint32_t *latencies;
static size_t answered, otherwise, lost;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void open_connection(int index) {
  struct connection *c = &connections[index];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0) fail("socket");
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0) fail("epoll_ctl");
  c->busy = false;
  c->status = 0;
  c->head_used = 0;
  idle[idle_count++] = index;
}

/* It ended. What was out on it is lost. */
static void reopen(int index) {
  struct connection *c = &connections[index];
  if (c->busy) {
    lost++;
  } else {
    for (int i = 0; i < idle_count; i++) {
      if (idle[i] != index) continue;
      idle[i] = idle[--idle_count];
      break;
    }
  }
  close(c->fd);
  open_connection(index);
}

static void ask(int index, int64_t due, uint64_t n, uint64_t paths) {
  struct connection *c = &connections[index];
  char text[256];
  /* A multiplier without common factors with a power of ten visits all paths, far from each other. */
  uint64_t path = paths == 0 ? 0 : (n * 7368787ULL) % paths;
  int length = paths == 0 ? snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
                          : snprintf(text, sizeof text, "GET /service-%llu/item HTTP/1.1\r\nHost: bench\r\n\r\n",
                                     (unsigned long long)path);
  c->busy = true;
  c->due = due;
  if (send(c->fd, text, (size_t)length, MSG_NOSIGNAL) != length) reopen(index);
}

static void whole(int index) {
  struct connection *c = &connections[index];
  if (c->status == 200) {
    int64_t us = (now_ns() - c->due) / 1000;
    latencies[answered++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
  } else {
    otherwise++;
  }
  c->busy = false;
  c->status = 0;
  c->head_used = 0;
  idle[idle_count++] = index;
}

/* Looks for the end of the head; answers how many of the bytes behind it came with it, or -1 while it is not there. */
static ssize_t read_head(struct connection *c) {
  c->head[c->head_used] = 0;
  char *end = strstr(c->head, "\r\n\r\n");
  if (end == NULL) return -1;
  end += 4;
  char *length = strcasestr(c->head, "\r\ncontent-length:");
  c->status = atoi(c->head + 9);
  c->body_left = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
  return (ssize_t)(c->head_used - (size_t)(end - c->head));
}

static void receive(int index) {
  struct connection *c = &connections[index];
  static char body[1 << 16];
  ssize_t got;
  if (c->status == 0) {
    got = recv(c->fd, c->head + c->head_used, HEAD_MAX - 1 - c->head_used, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || !c->busy) {
      reopen(index);
      return;
    }
    c->head_used += (size_t)got;
    got = read_head(c);
    if (got < 0) return;
  } else {
    got = recv(c->fd, body, sizeof body, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      reopen(index);
      return;
    }
  }
  c->body_left -= (size_t)got < c->body_left ? (size_t)got : c->body_left;
  if (c->body_left == 0) whole(index);
}

static int ascending(const void *a, const void *b) {
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return left < right ? -1 : left > right;
}

static uint32_t quantile(double q) {
  return answered == 0 ? 0 : latencies[(size_t)(q * (double)(answered - 1))];
}

int main(int count, char **arguments) {
  if (count < 5) {
    fprintf(stderr, "open-loop PORT CONNECTIONS RATE SECONDS [PATHS]\n");
    return 2;
  }
  port = (uint16_t)atoi(arguments[1]);
  int wanted = atoi(arguments[2]);
  double rate = atof(arguments[3]), seconds = atof(arguments[4]);
  uint64_t paths = count > 5 ? strtoull(arguments[5], NULL, 10) : 0;
  uint64_t total = (uint64_t)(rate * seconds);
  if (wanted < 1 || wanted > CONNECTIONS_MAX || total == 0) return 2;
  latencies = malloc(total * sizeof *latencies);
  poller = epoll_create1(0);
  if (latencies == NULL || poller < 0) fail("set-up");
  prctl(PR_SET_TIMERSLACK, 1UL);
  for (int i = 0; i < wanted; i++) open_connection(i);

  int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9) + DRAIN_NS;
  uint64_t sent = 0;
  struct epoll_event events[EVENTS_MAX];
  while (answered + otherwise + lost < total && now_ns() < end) {
    int64_t due = start;
    while (sent < total && idle_count > 0) {
      due = start + (int64_t)((double)sent * 1e9 / rate);
      if (due > now_ns()) break;
      ask(idle[--idle_count], due, sent, paths);
      sent++;
    }
    /* With nobody free, or all sent, only an answer or the end can change anything. */
    int64_t wait = sent < total && idle_count > 0 ? due - now_ns() : 100000000;
    struct timespec timeout = {.tv_sec = 0, .tv_nsec = wait < 0 ? 0 : wait > 100000000 ? 100000000 : wait};
    int ready = epoll_pwait2(poller, events, EVENTS_MAX, &timeout, NULL);
    if (ready < 0 && errno != EINTR) fail("epoll_pwait2");
    for (int i = 0; i < ready; i++) receive((int)events[i].data.u32);
  }
  lost += sent - (answered + otherwise + lost);
  qsort(latencies, answered, sizeof *latencies, ascending);
  printf("{\"sent\":%llu,\"answered\":%zu,\"otherwise\":%zu,\"lost\":%zu,\"p50Us\":%u,\"p99Us\":%u,\"p999Us\":%u,\"maxUs\":%u}\n",
         (unsigned long long)sent, answered, otherwise, lost, quantile(0.5), quantile(0.99), quantile(0.999),
         quantile(1));
  return 0;
}
