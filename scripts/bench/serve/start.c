// How long ONNX Runtime itself takes to start: loads the library, opens the model in argv[1] and exits. No server can be
// ready sooner.
//
//   cc -O2 -o start start.c -ldl

#include "onnxruntime.h"

#include <stdio.h>

static void check(void *status) {
    if (!status) return;
    fprintf(stderr, "start: %s\n", (const char *)ORT(GET_ERROR_MESSAGE, status));
    exit(2);
}

int main(int argc, char **argv) {
    void *environment, *options, *session;
    const char *problem = argc == 2 ? load_onnxruntime() : "usage: start model.onnx";
    if (problem) {
        fprintf(stderr, "start: %s\n", problem);
        return 2;
    }
    check(ORT(CREATE_ENV, LOG_WARNING, "bench", &environment));
    check(ORT(CREATE_OPTIONS, &options));
    check(ORT(SET_INTRA_THREADS, options, thread_count()));
    check(ORT(CREATE_SESSION, environment, argv[1], options, &session));
    return 0;
}
