// A server that does nothing: a whole request of HTTP/1.1, by its Content-Length, is answered with constant bytes, as many as the
// answer for one row has. One thread, as few system calls as there can be: what the network alone costs on this machine.
//
//   cc -O2 -o floor floor.c
//   floor PORT

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, MAX_FILES = 4096, EVENTS = 256 };

static const char ANSWER[] = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 100\r\n\r\n"
                             "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

static size_t missing[MAX_FILES]; // bytes of a connection's request that are still to come

static bool complete(int file, const char *bytes, size_t length) {
    if (missing[file]) {
        missing[file] = length < missing[file] ? missing[file] - length : 0;
        return !missing[file];
    }
    const char *end = memmem(bytes, length, "\r\n\r\n", 4), *header = strcasestr(bytes, "\r\ncontent-length:");
    size_t whole = end ? end + 4 - bytes + (header && header < end ? strtoul(header + 17, NULL, 10) : 0) : length;
    missing[file] = whole > length ? whole - length : 0;
    return !missing[file];
}

static void serve(int file) {
    static char bytes[BUFFER + 1];
    ssize_t length = read(file, bytes, BUFFER);
    if (length <= 0) {
        missing[file] = 0;
        close(file);
        return;
    }
    bytes[length] = 0;
    if (complete(file, bytes, length) && write(file, ANSWER, sizeof ANSWER - 1) < 0) close(file);
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), poller = epoll_create1(0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return perror("floor"), 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener) {
                serve(events[i].data.fd);
                continue;
            }
            event.data.fd = accept(listener, NULL, NULL);
            if (event.data.fd < 0 || event.data.fd >= MAX_FILES) return 1;
            setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
        }
    }
}
