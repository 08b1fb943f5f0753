// enter NODE COMMAND [ARGUMENT...]
//
// Runs COMMAND in the namespaces (pid, mount, network, uts, ipc) of the cluster's node, in the same working directory and with the
// same environment. NODE is a file with the pid of the node's first process and the name of its pid namespace; the latter is
// compared, so that a pid that means another process by now is not entered.
//
// Unlike nsenter, it behaves as if COMMAND had been started directly: signals are passed on, a kill -9 of enter kills COMMAND too
// (a test that is aborted leaves nothing behind), and exit code or fatal signal are COMMAND's own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 125 }; // as env, chroot and nice do for errors of their own

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
enum { PASSED_ON = sizeof passed_on / sizeof *passed_on };
static volatile pid_t child;

static void pass_on(int number, siginfo_t *info, void *context) {
	(void)context;
	// What a terminal sends (Ctrl-C) goes to its whole foreground group: the child has it already.
	if (info->si_code != SI_KERNEL)
		kill(child, number);
}

static _Noreturn void fail(const char *what, const char *why) {
	fprintf(stderr, "enter: %s: %s\n", what, why);
	exit(FAILED);
}

static int open_namespace(int pid, const char *kind) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) // of a process that is a zombie, some are gone and some are not
		fail(path, errno == ENOENT ? "the cluster is not running any more (tests/cluster/up.sh starts it)" : strerror(errno));
	return fd;
}

// Reads NODE and compares: the pid of a node that still runs.
static int node_pid(const char *file) {
	int pid = 0;
	char expected[64] = "", path[64], found[64] = "";
	FILE *f = fopen(file, "re");
	if (!f || fscanf(f, "%d %63s", &pid, expected) != 2)
		fail(file, "the cluster is not running (tests/cluster/up.sh starts it)");
	fclose(f);
	snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
	if (readlink(path, found, sizeof found - 1) < 0 || strcmp(found, expected) != 0)
		fail(file, "the cluster is not running any more (tests/cluster/up.sh starts it)");
	return pid;
}

int main(int argc, char **argv) {
	if (argc < 3)
		fail("usage", "enter NODE COMMAND [ARGUMENT...]");
	int pid = node_pid(argv[1]);
	char here[PATH_MAX];
	if (!getcwd(here, sizeof here))
		fail("working directory", strerror(errno));
	static const char *const kinds[] = {"net", "uts", "ipc", "mnt"}; // mnt last: it changes where /proc is
	int namespaces[4];
	for (int i = 0; i < 4; i++)
		namespaces[i] = open_namespace(pid, kinds[i]);
	// Takes effect for children only, and this process stays outside with all its other namespaces, so that it outlives the node.
	if (setns(open_namespace(pid, "pid"), CLONE_NEWPID) < 0)
		fail("pid namespace", strerror(errno));

	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before); // nothing may arrive while child is not yet known
	child = fork();
	if (child < 0)
		fail("fork", strerror(errno));
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigprocmask(SIG_SETMASK, &before, NULL);
		for (int i = 0; i < 4; i++)
			if (setns(namespaces[i], 0) < 0)
				fail(kinds[i], strerror(errno));
		if (chdir(here) < 0)
			fail(here, "not visible inside the node");
		execvp(argv[2], argv + 2);
		int code = errno == ENOENT ? 127 : 126;
		fprintf(stderr, "enter: %s: %s\n", argv[2], strerror(errno));
		_exit(code);
	}

	struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
	for (int i = 0; i < PASSED_ON; i++)
		sigaction(passed_on[i], &action, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid", strerror(errno));
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	// Die of the same signal, so that the caller sees what it would have seen; without a second core file.
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}
