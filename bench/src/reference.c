/* reference: the least that keeps children alive on Linux, the yardstick of every ratio in this folder.
 *
 *   reference LIST LOG_DIRECTORY
 *
 * LIST holds one command a line, words apart by blanks. Each child gets its own session, /dev/null as stdin and one pipe
 * for stdout and stderr, made once and kept over its lives; what comes out of it goes to LOG_DIRECTORY/LINE.log by read
 * and write of 64 KiB, the file opened at the first byte. A death is seen by pidfd and answered at once by posix_spawn.
 * SIGTERM and SIGINT pass SIGTERM to every child, and the program ends with the last of them.
 *
 * Nothing else: no backoff, no limits, no metrics, no state on disk. */

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_WORDS = 32, BATCH = 64, BLOCK = 65536 };
enum { SIGNALS, DEATH, OUTPUT }; /* what an epoll event is about: low bits of its data, the slot above them */

struct slot {
    char *argv[MOST_WORDS];
    posix_spawn_file_actions_t files;
    pid_t pid;
    int pidfd;
    int output;
    int log;
};

extern char **environ;
static struct slot *slots;
static size_t count, living;
static posix_spawnattr_t attributes;
static int poller;
static bool stopping;

static void watch(int fd, int kind, size_t index)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)index << 2 | (uint64_t)kind};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "cannot watch descriptor %d", fd);
}

static void spawn(size_t index)
{
    struct slot *slot = &slots[index];
    errno = posix_spawn(&slot->pid, slot->argv[0], &slot->files, &attributes, slot->argv, environ);
    if (errno)
        err(1, "cannot start %s", slot->argv[0]);
    slot->pidfd = (int)syscall(SYS_pidfd_open, slot->pid, 0);
    if (slot->pidfd < 0)
        err(1, "cannot open a pidfd");
    watch(slot->pidfd, DEATH, index);
    living++;
}

static void died(size_t index)
{
    siginfo_t info;
    struct slot *slot = &slots[index];
    if (waitid(P_PIDFD, (id_t)slot->pidfd, &info, WEXITED) < 0)
        err(1, "cannot reap %d", slot->pid);
    /* Closing is not enough: the last child may hold a copy of the descriptor, for execve wakes the vfork parent before it
     * closes what is close-on-exec (begin_new_exec in fs/exec.c), and epoll would report this death a second time. */
    if (epoll_ctl(poller, EPOLL_CTL_DEL, slot->pidfd, NULL) < 0)
        err(1, "cannot forget the pidfd of %d", slot->pid);
    close(slot->pidfd);
    slot->pid = 0;
    living--;
    if (!stopping)
        spawn(index);
}

static void wrote(size_t index)
{
    static char block[BLOCK], path[32];
    struct slot *slot = &slots[index];
    if (slot->log < 0) {
        snprintf(path, sizeof path, "%zu.log", index);
        slot->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (slot->log < 0)
            err(1, "cannot open %s", path);
    }
    ssize_t size = read(slot->output, block, sizeof block);
    for (ssize_t done = 0; done < size;) {
        ssize_t part = write(slot->log, block + done, (size_t)(size - done));
        if (part < 0)
            err(1, "cannot write %zu.log", index);
        done += part;
    }
}

static void stop(void)
{
    stopping = true;
    for (size_t index = 0; index < count; index++)
        if (slots[index].pid)
            kill(slots[index].pid, SIGTERM);
}

static void prepare(struct slot *slot, char *line)
{
    int ends[2], words = 0;
    for (char *word = strtok(line, " \n"); word && words < MOST_WORDS - 1; word = strtok(NULL, " \n"))
        slot->argv[words++] = strdup(word);
    if (pipe2(ends, O_CLOEXEC) < 0)
        err(1, "cannot make a pipe");
    slot->output = ends[0];
    slot->log = -1;
    posix_spawn_file_actions_init(&slot->files);
    posix_spawn_file_actions_addopen(&slot->files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&slot->files, ends[1], 1);
    posix_spawn_file_actions_adddup2(&slot->files, ends[1], 2);
}

static void load(const char *path)
{
    char line[4096];
    FILE *list = fopen(path, "re");
    if (!list)
        err(2, "cannot open %s", path);
    while (fgets(line, sizeof line, list)) {
        slots = realloc(slots, (count + 1) * sizeof *slots);
        if (!slots)
            err(1, "cannot hold %zu services", count + 1);
        memset(&slots[count], 0, sizeof *slots);
        prepare(&slots[count++], line);
    }
    fclose(list);
}

static int set_up(void)
{
    struct rlimit files;
    sigset_t none, ours;

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    poller = epoll_create1(EPOLL_CLOEXEC);
    return signalfd(-1, &ours, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    struct epoll_event events[BATCH];

    if (argc != 3)
        errx(2, "usage: reference LIST LOG_DIRECTORY");
    int signals = set_up();
    if (poller < 0 || signals < 0)
        err(1, "cannot set up");
    load(argv[1]);
    if (chdir(argv[2]) < 0)
        err(1, "cannot enter %s", argv[2]);
    watch(signals, SIGNALS, 0);
    for (size_t index = 0; index < count; index++) {
        watch(slots[index].output, OUTPUT, index);
        spawn(index);
    }
    while (!stopping || living) {
        int got = epoll_wait(poller, events, BATCH, -1);
        for (int at = 0; at < got; at++) {
            size_t index = (size_t)(events[at].data.u64 >> 2);
            int kind = (int)(events[at].data.u64 & 3);
            if (kind == DEATH)
                died(index);
            else if (kind == OUTPUT)
                wrote(index);
            else if (!stopping)
                stop();
        }
    }
    return 0;
}
