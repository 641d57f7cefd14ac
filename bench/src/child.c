/* child: the service of every benchmark. It tells when it came to life, and waits.
 *
 *   child ID FIFO                            report birth, then wait for a signal
 *   child ID FIFO die                        report birth, then exit with status 1
 *   child ID FIFO flood BYTES GATE           report birth, wait until someone opens GATE for writing, report the start,
 *                                            write BYTES to stdout in blocks of 64 KiB, report the end, then wait
 *   child ID FIFO exec COMMAND [ARGUMENT...] report birth, then become COMMAND (stamps the start of a supervisor)
 *
 * It is freestanding (no libc, no start files), so the clock is read some ten instructions after the kernel hands over
 * control; a static glibc program would spend tens of microseconds of both sides' figures on its own set-up.
 *
 * A report is one write of 32 bytes, below PIPE_BUF and so atomic (pipe(7)). The FIFO is opened without blocking: with no
 * reader, or no room, the report is lost and the harness says which child it misses. */

#define _GNU_SOURCE
#include <asm/unistd.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>

enum { BORN = 0, FLOOD_START = 1, FLOOD_END = 2, BLOCK = 65536, LINE = 64 };

struct report {
    int64_t time_ns; /* CLOCK_MONOTONIC */
    int64_t bytes;   /* written to stdout so far */
    int32_t pid;
    int32_t id;
    int32_t kind;
    int32_t reserved;
};
_Static_assert(sizeof(struct report) == 32, "the harness reads records of 32 bytes");

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call born\n");

static long call4(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl born\n");

static long call4(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#else
#error "cannot build child: only x86_64 and aarch64 are known here"
#endif

static int64_t now_ns(void)
{
    struct timespec now;
    call4(__NR_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static _Noreturn void leave(int status)
{
    for (;;)
        call4(__NR_exit_group, status, 0, 0, 0);
}

static _Noreturn void wait_for_a_signal(void)
{
    for (;;)
        call4(__NR_ppoll, 0, 0, 0, 0);
}

static int64_t number(const char *text)
{
    int64_t value = 0;
    while (*text >= '0' && *text <= '9')
        value = value * 10 + (*text++ - '0');
    return value;
}

static void report(const char *fifo, int32_t id, int32_t kind, int64_t time_ns, int64_t bytes)
{
    struct report record = {time_ns, bytes, (int32_t)call4(__NR_getpid, 0, 0, 0, 0), id, kind, 0};
    long fd = call4(__NR_openat, AT_FDCWD, (long)fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    call4(__NR_write, fd, (long)&record, sizeof record, 0);
    call4(__NR_close, fd, 0, 0, 0);
}

/* Lines of 63 letters: what a reader by lines, by blocks and by splice all take without a special case. */
static void fill(char *block)
{
    for (int at = 0; at < BLOCK; at++)
        block[at] = at % LINE == LINE - 1 ? '\n' : (char)('a' + at % 26);
}

static int64_t flood(int64_t bytes)
{
    static char block[BLOCK];
    int64_t done = 0;

    fill(block);
    while (done < bytes) {
        int64_t offset = done % BLOCK;
        int64_t want = bytes - done < BLOCK - offset ? bytes - done : BLOCK - offset;
        long wrote = call4(__NR_write, 1, (long)(block + offset), want, 0);
        if (wrote < 0)
            leave(3);
        done += wrote;
    }
    return done;
}

/* The stack as the kernel leaves it: argc, argv, NULL, envp, NULL (x86-64 ABI, AAPCS64). */
__attribute__((used)) _Noreturn void born(long *stack)
{
    int64_t first = now_ns();
    long argc = stack[0];
    char **argv = (char **)(stack + 1);
    char mode = argc > 3 ? argv[3][0] : 'w';

    if (argc < 3)
        leave(2);
    int32_t id = (int32_t)number(argv[1]);
    report(argv[2], id, BORN, first, 0);
    if (mode == 'd')
        leave(1);
    if (mode == 'e' && argc > 4) {
        call4(__NR_execve, (long)argv[4], (long)(argv + 4), (long)(argv + argc + 1), 0);
        leave(127);
    }
    if (mode == 'f' && argc > 5) {
        call4(__NR_openat, AT_FDCWD, (long)argv[5], O_RDONLY | O_CLOEXEC, 0);
        report(argv[2], id, FLOOD_START, now_ns(), 0);
        int64_t bytes = flood(number(argv[4]));
        report(argv[2], id, FLOOD_END, now_ns(), bytes);
    }
    wait_for_a_signal();
}
