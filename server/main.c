/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ivshmemd: from the command line to the main loop, and shutdown.
 *
 * The order at startup matters. Collect what was handed over before opening any other
 * fd. Do everything that can fail, including the sandbox, before telling the daemon's
 * parent or the service manager that the server is ready. Signals arrive as data in the
 * main loop, which then exits or re-executes the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "error.h"
#include "fd.h"
#include "handover.h"
#include "log.h"
#include "options.h"
#include "sandbox.h"
#include "server.h"

/* The path that QEMU's server uses */
#define DEFAULT_PID_FILE "/var/run/ivshmem-server.pid"

typedef struct Main {
    Log log;
    Options *options;
    char *program;          /* executed for a reload */
    char **argv;
    bool reloaded;
    unsigned generation;
    Watches *watches;
    Notify *notify;
    Server *server;
    Control *control;       /* NULL if not requested */
    int signals;
    Watch signal_watch;
    int ready;              /* to tell the daemon's parent; -1 if there is none */
    GMainLoop *loop;
} Main;

/* Make sure that no file opened later gets fd 0, 1 or 2. */
static void open_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    fd_close(&fd);
}

static char *find_program(const char *name)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (length < 0) {
        return g_strdup(name);
    }
    path[length] = 0;
    return g_strdup(path);
}

static bool main_reload(Main *self, GError **error)
{
    g_autoptr(Handover) handover = handover_new();
    g_autoptr(Settings) settings = options_settings(self->options, error);

    if (!settings) {
        return false;
    }
    server_hand_over(self->server, handover);
    if (self->control) {
        control_hand_over(self->control, handover);
    }
    notify_state(self->notify, "RELOADING=1");
    notify_drain(self->notify, NOTIFY_PATIENCE_MS);
    handover_exec(handover, self->program, self->argv, self->generation + 1, error);
    notify_state(self->notify, "READY=1");
    return false;
}

static void main_control_reload(void *data, GError **error)
{
    main_reload(data, error);
}

static void main_signal(Watch *watch, uint32_t events)
{
    Main *self = watch->data;
    struct signalfd_siginfo info;

    (void)events;
    if (read(self->signals, &info, sizeof(info)) != sizeof(info)) {
        return;
    }
    if (info.ssi_signo == SIGHUP) {
        g_autoptr(GError) error = NULL;

        main_reload(self, &error);
        g_warning("not reloaded: %s", error->message);
        return;
    }
    g_info("exiting on signal %u", info.ssi_signo);
    g_main_loop_quit(self->loop);
}

static bool main_catch_signals(Main *self, GError **error)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    self->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signals < 0 ||
        !watch_add(self->watches, &self->signal_watch, self->signals, EPOLLIN,
                   main_signal, self)) {
        return fail(error, "cannot wait for signals: %s", g_strerror(errno));
    }
    return true;
}

/*
 * Continue in a child. The parent exits when the child is ready, or has failed and
 * printed its error.
 */
static bool main_daemonize(Main *self, GError **error)
{
    int ends[2];
    char byte;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0 || (child = fork()) < 0) {
        return fail(error, "cannot run in the background: %s", g_strerror(errno));
    }
    if (child) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[0]);
    setsid();
    self->ready = ends[1];
    return true;
}

static const char *main_pid_file(const Main *self)
{
    if (self->options->pid_file) {
        return self->options->pid_file;
    }
    return self->options->daemon ? DEFAULT_PID_FILE : NULL;
}

static bool main_write_pid_file(const Main *self, GError **error)
{
    const char *path = main_pid_file(self);
    FILE *file;

    if (!path) {
        return true;
    }
    file = fopen(path, "we");
    if (!file || fprintf(file, "%d\n", getpid()) < 0 || fclose(file)) {
        return fail(error, "cannot write the PID file %s: %s. Choose another with -p",
                    path, g_strerror(errno));
    }
    return true;
}

/* A socket opened by a service manager replaces the default one. */
static void use_activated_socket(const Options *options, const Handover *handover,
                                 Settings *settings)
{
    g_autofree char *path = NULL;

    if (options->any_socket && (path = handover_activated_path(handover))) {
        ChannelSettings *channel = g_ptr_array_index(settings->channels, 0);
        SocketSettings *socket = g_ptr_array_index(channel->sockets, 0);

        g_free(socket->path);
        socket->path = g_steal_pointer(&path);
    }
}

/* After a reload or a crash, continue without @what, to keep the clients. */
static bool main_may_lack(const Main *self, const char *what, GError *problem,
                          GError **error)
{
    if (!self->server->restored) {
        g_propagate_error(error, problem);
        return false;
    }
    g_warning("continues without %s: %s", what, problem->message);
    g_error_free(problem);
    return true;
}

static bool main_open_control(Main *self, const char *path, Handover *handover,
                              GError **error)
{
    GError *problem = NULL;

    self->control = control_new(path, self->server, handover, self->generation,
                                main_control_reload, self, &problem);
    return self->control || main_may_lack(self, "its control socket", problem, error);
}

static bool main_open(Main *self, Handover *handover, GError **error)
{
    g_autoptr(Settings) settings = options_settings(self->options, error);
    const char *manager = g_getenv("NOTIFY_SOCKET");

    if (!settings) {
        return false;
    }
    use_activated_socket(self->options, handover, settings);
    self->watches = watches_new(error);
    if (!self->watches || !main_catch_signals(self, error)) {
        return false;
    }
    if (manager) {
        self->notify = notify_new(self->watches, manager);
    }
    self->server = server_new(settings, handover, self->watches, self->notify, error);
    if (!self->server) {
        return false;
    }
    if (settings->control &&
        !main_open_control(self, settings->control, handover, error)) {
        return false;
    }
    listener_discard_rest(handover, self->notify);
    return true;
}

static void main_say_ready(Main *self)
{
    g_autofree char *text = server_describe(self->server);
    AUTO_FD null = -1;

    notify_state(self->notify, "READY=1");
    if (self->reloaded) {
        g_message("reloaded: %s", text);
        return;
    }
    printf("ivshmemd is ready: %s\n", text);
    fflush(stdout);
    if (self->ready < 0) {
        return;
    }
    if (write(self->ready, "", 1) < 0) {
        g_info("cannot report to the parent process: %s", g_strerror(errno));
    }
    fd_close(&self->ready);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
}

static bool main_start(Main *self, GError **error)
{
    g_autoptr(Handover) handover = handover_receive(error);
    GError *problem = NULL;

    if (!handover) {
        return false;
    }
    fd_raise_limit();
    self->reloaded = handover_is_reload(handover);
    self->generation = handover_generation(handover);
    if (self->options->daemon) {
        if (self->reloaded) {
            log_to_syslog(&self->log);
        } else if (!main_daemonize(self, error)) {
            return false;
        }
    }
    if (!sandbox_renounce_privileges(error) || !main_open(self, handover, error)) {
        return false;
    }
    /* A reloaded server is already in the sandbox. */
    if (!self->reloaded && !sandbox_enter(self->options->sandbox, error)) {
        return false;
    }
    if (!main_write_pid_file(self, &problem) &&
        !main_may_lack(self, "its PID file", problem, error)) {
        return false;
    }
    if (self->options->daemon && !self->reloaded) {
        log_to_syslog(&self->log);
    }
    main_say_ready(self);
    return true;
}

static void main_end(Main *self)
{
    /* Sockets that a service manager keeps for the next process must stay reachable. */
    bool remove = !self->notify;

    if (self->control) {
        control_free(self->control, remove);
    }
    if (self->server) {
        server_free(self->server, remove);
    }
    if (self->notify) {
        notify_free(self->notify);
    }
    if (self->watches) {
        watch_remove(&self->signal_watch);
        watches_free(self->watches);
    }
    fd_close(&self->signals);
    fd_close(&self->ready);
    options_free(self->options);
    g_free(self->program);
}

int main(int argc G_GNUC_UNUSED, char **argv)
{
    Main self = {
        .log = { .fd = STDERR_FILENO },
        .program = find_program(argv[0]),
        .argv = argv,
        .signals = -1,
        .ready = -1,
    };
    g_autoptr(GError) error = NULL;
    bool ok;

    setlocale(LC_CTYPE, "C.UTF-8");
    open_standard_fds();
    log_init(&self.log);
    self.options = options_parse(argv, &error);
    if (!self.options) {
        fprintf(stderr, "ivshmemd: %s\nTry 'ivshmemd --help'.\n", error->message);
        g_free(self.program);
        return EXIT_FAILURE;
    }
    if (self.options->version) {
        printf("ivshmemd %s\n", VERSION);
        options_free(self.options);
        g_free(self.program);
        return EXIT_SUCCESS;
    }
    self.log.verbose = self.options->verbose;
    ok = main_start(&self, &error);
    if (ok) {
        self.loop = g_main_loop_new(NULL, FALSE);
        g_main_loop_run(self.loop);
        g_main_loop_unref(self.loop);
        if (main_pid_file(&self)) {
            unlink(main_pid_file(&self));
        }
    } else {
        g_critical("%s", error->message);
        if (self.server) {
            server_undo(self.server);
        }
    }
    main_end(&self);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
