// A closed-loop load generator that costs little beside the servers it measures: one thread, one request outstanding on each
// of N connections to 127.0.0.1, the next as soon as the answer is complete. Prints one line of JSON.
//
//   cc -O2 -o load load.c
//   load http PORT CONNECTIONS SECONDS request         the file holds a whole HTTP/1.1 request, headers and body
//   load grpc PORT CONNECTIONS SECONDS request PATH    the file holds the message of a unary call of PATH, without its prefix
//
// A failed request (a status other than 200, a call without a message in its answer) is counted and ends nothing; a connection
// that breaks ends the program with status 1. Times are nanoseconds, from the write of a request to the last byte of its answer;
// those of the first tenth of the time are left out. A slow server
// is given more time, so that every connection has an answer or two; answers after the end are
// awaited. `all` and `seconds` are of the whole; a server that answers in large batches would otherwise win or lose one.

#define _GNU_SOURCE
#define MINUTE 60000000000ull
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, BUFFER = 1 << 20, MAX_REQUEST = 1 << 26 };

typedef struct {
    int socket;
    uint64_t sent_at;      // ns
    char *in;              // bytes of the answer that are not used up
    size_t have;
    const char *out;       // bytes that are not written yet
    size_t left;
    // HTTP
    size_t whole;          // bytes of the answer, 0 while its headers are incomplete
    // gRPC
    uint32_t stream;       // id of the call
    bool message, ended;   // what has come of its answer
    int64_t window;        // bytes that may be sent on the connection
    uint64_t received;     // bytes of DATA since the last update of the server's window
    char *frames;          // what is sent for one call
} Connection;

static Connection connections[MAX_CONNECTIONS];
static int poller;
static char *request; // HTTP: the whole; gRPC: the message
static size_t request_bytes;
static const char *path;
static bool grpc;
static uint64_t *times, failures;
static size_t count, capacity, draining; // connections that wait for their last answer

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void watch(Connection *it, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = it};
    if (epoll_ctl(poller, operation, it->socket, &event)) fail("epoll_ctl");
}

static void flush(Connection *it) {
    while (it->left) {
        ssize_t wrote = write(it->socket, it->out, it->left);
        if (wrote < 0 && errno == EAGAIN) return watch(it, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
        if (wrote < 0) fail("write");
        it->out += wrote;
        it->left -= wrote;
    }
}

// Small frames between calls: acknowledgements and window updates, which no call's bytes may interrupt.
static void send_now(Connection *it, const void *bytes, size_t length) {
    if (it->left) fail("a control frame in the middle of a call");
    if (write(it->socket, bytes, length) != (ssize_t)length) fail("write");
}

static uint32_t get32(const void *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

static char *put32(char *at, uint32_t value) {
    value = htonl(value);
    memcpy(at, &value, 4);
    return at + 4;
}

static char *frame(char *at, uint32_t length, int type, int flags, uint32_t stream) {
    put32(at, length << 8 | type);
    at[4] = flags;
    return put32(at + 5, stream);
}

enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, PING = 6, GOAWAY, WINDOW_UPDATE, END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { INITIAL_WINDOW = 65535, WINDOW_STEP = 1 << 28, MAX_FRAME = 16384 };

static char *text(char *at, int prefix, const char *value) {
    size_t length = strlen(value);
    if (prefix >= 0) *at++ = prefix;
    *at++ = length;
    return (char *)mempcpy(at, value, length);
}

// HPACK: the first call of a connection puts its headers into the dynamic table, the others refer to them.
static char *header_block(char *at, bool first) {
    *at++ = 0x83; // :method: POST
    *at++ = 0x86; // :scheme: http
    if (first) {
        at = text(at, 0x44, path);
        at = text(at, 0x41, "127.0.0.1");
        at = text(at, 0x5f, "application/grpc");
        at = text(at, 0x40, "te");
        return text(at, -1, "trailers");
    }
    for (int entry = 65; entry >= 62; entry--) *at++ = 0x80 | entry;
    return at;
}

static void start_grpc(Connection *it) {
    bool first = it->stream == 0;
    it->stream += first ? 1 : 2;
    it->message = it->ended = false;
    char *block = it->frames + 9, *at = header_block(block, first);
    frame(it->frames, at - block, HEADERS, END_HEADERS, it->stream);
    size_t left = request_bytes + 5, sent = 0;
    for (; left; left -= sent) {
        bool prefix = left == request_bytes + 5;
        sent = left < MAX_FRAME ? left : MAX_FRAME;
        at = frame(at, sent, DATA, sent == left ? END_STREAM : 0, it->stream);
        if (prefix) {
            *at++ = 0; // not compressed
            at = put32(at, request_bytes);
        }
        const char *from = request + (request_bytes - (left - (prefix ? 5 : 0)));
        at = mempcpy(at, from, sent - (prefix ? 5 : 0));
    }
    it->window -= request_bytes + 5;
    if (it->window < 0) fail("the server's window is full");
    it->out = it->frames;
    it->left = at - it->frames;
}

static void start(Connection *it) {
    it->sent_at = now();
    if (grpc) {
        start_grpc(it);
    } else {
        it->out = request;
        it->left = request_bytes;
        it->whole = 0;
    }
    flush(it);
}

static void drop(Connection *it, size_t bytes) {
    it->have -= bytes;
    memmove(it->in, it->in + bytes, it->have);
}

static void answered(Connection *it, bool good) {
    if (count == capacity) times = realloc(times, (capacity = 2 * capacity + 65536) * sizeof *times);
    times[count++] = now() - it->sent_at;
    failures += !good;
}

// Whether the answer is complete; if so, it is counted.
static bool read_http(Connection *it) {
    if (!it->whole) {
        it->in[it->have] = 0;
        char *end = strstr(it->in, "\r\n\r\n");
        if (!end) return false;
        char *length = strcasestr(it->in, "\r\ncontent-length:"), *chunked = strcasestr(it->in, "\r\ntransfer-encoding: chunked");
        if (length && length < end) it->whole = end + 4 - it->in + strtoul(length + 17, NULL, 10);
        else if (!chunked || chunked > end) fail("an answer without length");
        else if (!memcmp(it->in + it->have - 5, "0\r\n\r\n", 5)) it->whole = it->have; // the last chunk
        else return false;
        if (it->whole >= BUFFER) fail("a long answer");
    }
    if (it->have < it->whole) return false;
    answered(it, !strncmp(it->in, "HTTP/1.1 200 ", 13));
    drop(it, it->whole);
    return true;
}

static void take_frame(Connection *it, const char *at, uint32_t length) {
    int type = at[3], flags = at[4];
    uint32_t stream = get32(at + 5) & 0x7fffffff;
    bool ours = stream == it->stream;
    char reply[32];
    switch (type) {
    case DATA:
        it->received += length;
        it->message |= ours && length >= 5;
        if (it->received > WINDOW_STEP) {
            put32(frame(reply, 4, WINDOW_UPDATE, 0, 0), it->received);
            send_now(it, reply, 13);
            it->received = 0;
        }
        break;
    case RST_STREAM:
        if (ours) it->ended = true;
        break;
    case SETTINGS:
        if (!(flags & ACK)) frame(reply, 0, SETTINGS, ACK, 0), send_now(it, reply, 9);
        return;
    case PING:
        if (!(flags & ACK)) memcpy(frame(reply, 8, PING, ACK, 0), at + 9, 8), send_now(it, reply, 17);
        return;
    case GOAWAY:
        fail("the server said GOAWAY");
        return;
    case WINDOW_UPDATE:
        if (!stream) it->window += get32(at + 9) & 0x7fffffff;
        return;
    }
    if ((type == DATA || type == HEADERS) && ours && flags & END_STREAM) it->ended = true;
}

static bool read_grpc(Connection *it) {
    size_t used = 0;
    while (it->have - used >= 9) {
        uint32_t length = get32(it->in + used) >> 8;
        if (it->have - used < 9 + length) break;
        take_frame(it, it->in + used, length);
        used += 9 + length;
    }
    drop(it, used);
    if (!it->ended) return false;
    it->ended = false;
    answered(it, it->message);
    return true;
}

static void receive(Connection *it) {
    ssize_t got = read(it->socket, it->in + it->have, BUFFER - 1 - it->have);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) fail("the connection ended");
    it->have += got;
    if (!(grpc ? read_grpc(it) : read_http(it))) return;
    if (draining) draining--;
    else start(it);
}

static void greet(Connection *it) {
    char bytes[64], *at = mempcpy(bytes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    at = frame(at, 6, SETTINGS, 0, 0);
    *at++ = 0, *at++ = 4; // SETTINGS_INITIAL_WINDOW_SIZE
    at = put32(at, 0x7fffffff);
    at = frame(at, 4, WINDOW_UPDATE, 0, 0);
    at = put32(at, 0x7fffffff - INITIAL_WINDOW);
    send_now(it, bytes, at - bytes);
    it->window = INITIAL_WINDOW;
    it->frames = malloc(request_bytes + 4096 + request_bytes / MAX_FRAME * 9);
}

static void open_connection(Connection *it, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    it->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(it->socket, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(it->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    it->in = malloc(BUFFER);
    if (grpc) greet(it);
    watch(it, EPOLL_CTL_ADD, EPOLLIN);
}

// Until the time is over and at least `least` answers are complete, but no longer than a minute more.
static void run_until(uint64_t end, size_t least) {
    struct epoll_event events[MAX_CONNECTIONS];
    bool drain = draining;
    for (uint64_t time; time = now(), time < end || (count < least && time < end + MINUTE);) {
        if (drain && !draining) return;
        int ready = epoll_wait(poller, events, MAX_CONNECTIONS, 1000);
        for (int i = 0; i < ready; i++) {
            Connection *it = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) {
                watch(it, EPOLL_CTL_MOD, EPOLLIN);
                flush(it);
            }
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(it);
        }
    }
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t quantile(double q) {
    return count ? times[(size_t)(q * (count - 1))] : 0;
}

int main(int argc, char **argv) {
    if (argc < 6) return fprintf(stderr, "usage: load http|grpc PORT CONNECTIONS SECONDS request [PATH]\n"), 2;
    grpc = !strcmp(argv[1], "grpc");
    path = argv[argc - 1];
    int port = atoi(argv[2]), n = atoi(argv[3]);
    double seconds = atof(argv[4]);
    FILE *file = fopen(argv[5], "rb");
    if (!file) fail(argv[5]);
    request = malloc(MAX_REQUEST);
    request_bytes = fread(request, 1, MAX_REQUEST, file);
    if (n < 1 || n > MAX_CONNECTIONS || (grpc && request_bytes + 5 > INITIAL_WINDOW)) return fprintf(stderr, "load: too much\n"), 2;
    poller = epoll_create1(0);
    for (int i = 0; i < n; i++) open_connection(&connections[i], port);
    for (int i = 0; i < n; i++) start(&connections[i]);
    uint64_t begin = now(), all;
    run_until(begin + seconds * 1e8, n);
    all = count;
    count = 0;
    run_until(begin + seconds * 1e9, 2 * n);
    size_t in_time = count;
    draining = n;
    run_until(now() + MINUTE, 0);
    all += count;
    count = in_time;
    double elapsed = (now() - begin) / 1e9;
    qsort(times, count, sizeof *times, by_size);
    printf("{\"requests\": %zu, \"all\": %llu, \"failures\": %llu, \"seconds\": %.6f, \"p50\": %llu, \"p90\": %llu, \"p99\": %llu, \"max\": %llu}\n",
           count, (unsigned long long)all, (unsigned long long)failures, elapsed, (unsigned long long)quantile(0.5),
           (unsigned long long)quantile(0.9), (unsigned long long)quantile(0.99), (unsigned long long)quantile(1));
    return 0;
}
