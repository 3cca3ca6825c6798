/*
 * test_portmap_system.c - onc_portmap_start against the system's tools: rpcinfo asks us, and we register
 * with a real rpcbind. All in a network and mount namespace of its own, so that port 111 and rpcbind's
 * socket are free; where that is not possible the tests are skipped, and say so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/log.h"
#include "echo_fixture.h"
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool isolated;
static char logged[65536];
static char output[65536];

static const struct onc_mapping mappings[] = {
    {100003, 3, ONC_TCP, 2049}, {100003, 4, ONC_TCP, 2049}, {100005, 3, ONC_UDP, 20048}};

static void keep_line(enum log_level level, const char *line)
{
    size_t length = strlen(logged);

    (void)level;
    snprintf(logged + length, sizeof logged - length, "%s\n", line);
}

static bool raise_loopback(void)
{
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    bool done;

    strcpy(request.ifr_name, "lo");
    done = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    if (fd >= 0)
        close(fd);
    return done;
}

static bool isolate(void)
{
    return unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/run", "tmpfs", 0, NULL) == 0 && mkdir("/run/rpcbind", 0755) == 0 &&
           raise_loopback();
}

static int setup(void **state)
{
    (void)state;
    if (!isolated)
        return 0;
    logged[0] = '\0';
    log_set_sink(keep_line);
    echo_open(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!isolated)
        return 0;
    echo_close();
    log_set_sink(NULL);
    return 0;
}

#define need(condition, what)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_message("skipped: " what "\n");                                                            \
            skip();                                                                                          \
        }                                                                                                    \
    } while (0)

static pid_t start_program(char *const arguments[], int *output_fd_r)
{
    int fds[2];
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        execv(arguments[0], arguments);
        _exit(127);
    }
    close(fds[1]);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    *output_fd_r = fds[0];
    return pid;
}

/* Runs a program to its end, while the loop runs; its output is in `output`. Gives its exit status. */
static int run_program(char *const arguments[])
{
    size_t length = 0;
    int fd, status;
    pid_t pid = start_program(arguments, &fd);
    pid_t ended = 0;

    echo_until(({
        ssize_t got = read(fd, output + length, sizeof output - 1 - length);
        if (got > 0)
            length += (size_t)got;
        else if (ended == 0)
            ended = waitpid(pid, &status, WNOHANG);
        got == 0 && ended == pid; /* it may write after a read that found nothing, and end */
    }));
    output[length] = '\0';
    close(fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct onc_portmap *start(enum onc_portmap_mode mode)
{
    struct net_address addresses[2];
    struct onc_portmap *portmap;

    assert_int_equal(net_address_parse("0.0.0.0", 0, &addresses[0]), ERR_OK);
    assert_int_equal(net_address_parse("::", 0, &addresses[1]), ERR_OK);
    assert_int_equal(onc_portmap_start(echo.server, mode, addresses, 2, mappings,
                                       sizeof mappings / sizeof *mappings, &portmap),
                     ERR_OK);
    return portmap;
}

/* Asks whoever is at port 111; 0 when nobody is there. */
static uint32_t ask_port(uint32_t program, uint32_t version, uint32_t protocol)
{
    struct rpcclient *client = rpcclient_open("127.0.0.1", 111, RPCCLIENT_TCP);
    uint8_t bytes[16];
    struct writer arguments;
    struct reader results;
    uint32_t port = 0;

    if (client == NULL)
        return 0;
    client->pump = echo_pump;
    rpcclient_program(client, 100000, 2);
    writer_init(&arguments, bytes, sizeof bytes);
    writer_be32(&arguments, program);
    writer_be32(&arguments, version);
    writer_be32(&arguments, protocol);
    writer_be32(&arguments, 0);
    assert_int_equal(rpcclient_call(client, 3, &arguments, &results), RPCCLIENT_SUCCESS);
    assert_true(reader_be32(&results, &port));
    rpcclient_close(&client);
    return port;
}

static void rpcinfo_asks_us(void **state)
{
    static char *const list[] = {"/usr/sbin/rpcinfo", "-p", "127.0.0.1", NULL};
    static char *const list_all[] = {"/usr/sbin/rpcinfo", "127.0.0.1", NULL};
    static char *const ping[] = {"/usr/sbin/rpcinfo", "-T", "udp", "127.0.0.1", "100000", "4", NULL};
    struct onc_portmap *portmap;

    (void)state;
    need(isolated, "no namespaces");
    need(access(list[0], X_OK) == 0, "no rpcinfo");
    portmap = start(ONC_PORTMAP_AUTO); /* nobody is there: we serve */
    echo_until(strstr(logged, "serving port 111") != NULL);
    assert_int_equal(run_program(list), 0);
    assert_non_null(strstr(output, "100003    3   tcp   2049"));
    assert_non_null(strstr(output, "100003    4   tcp   2049"));
    assert_non_null(strstr(output, "100005    3   udp  20048"));
    assert_non_null(strstr(output, "100000    2   udp    111"));
    assert_int_equal(run_program(list_all), 0);
    assert_non_null(strstr(output, "0.0.0.0.8.1"));
    assert_non_null(strstr(output, "udp6"));
    assert_int_equal(run_program(ping), 0);
    assert_non_null(strstr(output, "ready and waiting"));
    onc_portmap_stop(&portmap);
    assert_null(portmap);
    echo_turns(3);
    assert_int_equal(ask_port(100003, 3, IPPROTO_TCP), 0);
}

static void registers_with_rpcbind(void **state)
{
    static char *const rpcbind[] = {"/usr/sbin/rpcbind", "-f", NULL};
    struct onc_portmap *portmap;
    pid_t pid;
    int fd;

    (void)state;
    need(isolated, "no namespaces");
    need(access(rpcbind[0], X_OK) == 0, "no rpcbind");
    pid = start_program(rpcbind, &fd);
    echo_until(access("/run/rpcbind.sock", F_OK) == 0 && ask_port(100000, 2, IPPROTO_TCP) == 111);
    assert_int_equal(ask_port(100003, 3, IPPROTO_TCP), 0);
    portmap = start(ONC_PORTMAP_AUTO);
    echo_until(strstr(logged, "registered with rpcbind") != NULL);
    assert_int_equal(ask_port(100003, 3, IPPROTO_TCP), 2049);
    assert_int_equal(ask_port(100003, 4, IPPROTO_TCP), 2049);
    assert_int_equal(ask_port(100005, 3, IPPROTO_UDP), 20048);
    echo_turns(3);
    onc_portmap_stop(&portmap);
    assert_int_equal(ask_port(100003, 3, IPPROTO_TCP), 0);
    assert_int_equal(ask_port(100005, 3, IPPROTO_UDP), 0);
    portmap = start(ONC_PORTMAP_REGISTER);
    onc_portmap_stop(&portmap); /* while the job runs: it is taken back when that is over */
    echo_until(strstr(strstr(logged, "registered") + 1, "registered with rpcbind") != NULL);
    echo_turns(50);
    assert_int_equal(ask_port(100003, 3, IPPROTO_TCP), 0);
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(fd);
}

/* A failure is a warning. */
static void nobody_to_register_with(void **state)
{
    struct onc_portmap *portmap;

    (void)state;
    need(isolated, "no namespaces");
    portmap = start(ONC_PORTMAP_REGISTER);
    echo_until(strstr(logged, "rpcbind took 0 of 6 registrations") != NULL);
    echo_turns(3);
    onc_portmap_stop(&portmap);
    /* Port 111 is taken. */
    {
        struct net_address address;
        struct onc_portmap *second;
        uint16_t port;

        assert_int_equal(net_address_parse("0.0.0.0", 111, &address), ERR_OK);
        assert_int_equal(onc_service_listen(echo.service, ONC_TCP, &address, &port), ERR_OK);
        second = start(ONC_PORTMAP_SERVE);
        assert_non_null(strstr(logged, "can't serve port 111"));
        onc_portmap_stop(&second);
    }
    portmap = start(ONC_PORTMAP_OFF);
    onc_portmap_stop(&portmap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rpcinfo_asks_us, setup, teardown),
        cmocka_unit_test_setup_teardown(registers_with_rpcbind, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_to_register_with, setup, teardown),
    };
    isolated = isolate();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
