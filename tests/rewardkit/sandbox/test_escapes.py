"""What a hostile program tries, and what it gets: one attempt a test."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rewardkit.sandbox import Limits, Run, Sandbox
from rewardkit.sandbox.inside import landlock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's means are Linux's")

REFUSED = "PermissionError: [Errno 1] Operation not permitted"
UNREADABLE = "PermissionError: [Errno 13] Permission denied"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(seconds=20.0, output_bytes=10_000)) as sandbox:
        yield sandbox
        assert sandbox.run("print('as new')").stdout == b"as new\n"  # no attempt has harmed the server


def last_line(run: Run) -> str:
    return run.stderr.decode(errors="replace").strip().rpartition("\n")[2]


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.fork()",
        "import os\nwhile True: os.fork()",
        "import os; os.setsid()",
        "import os; os.execv('/bin/true', ['true'])",
        "import subprocess; subprocess.run(['/bin/true'])",
        "import multiprocessing; multiprocessing.Process(target=print).start()",
    ],
)
def test_starting_a_process_is_refused(sandbox: Sandbox, program: str) -> None:
    assert last_line(sandbox.run(program)).startswith(REFUSED)


def test_a_shell_does_not_start(sandbox: Sandbox) -> None:
    assert sandbox.run("import os; assert os.system('true') != 0").code == 0


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_VSOCK", "AF_PACKET"])
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_socket_is_refused_whatever_its_family(sandbox: Sandbox, family: str, kind: str) -> None:
    run = sandbox.run(f"import socket; socket.socket(socket.{family}, socket.{kind})")
    assert last_line(run).startswith(REFUSED)


def test_a_listener_on_this_machine_hears_nothing(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        run = sandbox.run(f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))")
        assert last_line(run).startswith(REFUSED)
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_pair_of_sockets_reaches_only_itself(sandbox: Sandbox, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "socket"))
        stream = f"import socket; socket.socketpair()[0].sendto(b'x', {str(tmp_path / 'socket')!r})"
        assert last_line(sandbox.run(stream)).startswith(REFUSED)
        datagram = "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)"
        assert last_line(sandbox.run(datagram)).startswith(REFUSED)


def facts(file: Path) -> tuple[object, ...]:
    stat = file.stat()
    return file.read_text(), stat.st_mode, stat.st_nlink, stat.st_uid, stat.st_mtime_ns, stat.st_ctime_ns


@pytest.mark.parametrize(
    "attempt",
    [
        "open({path!r}, 'w')",
        "open({path!r}, 'a')",
        "open({path!r}, 'r+')",
        "open('new-in-the-working-directory', 'x')",
        "os.open({path!r}, os.O_RDONLY | os.O_TRUNC)",
        "os.remove({path!r})",
        "os.rename({path!r}, {path!r} + '2')",
        "os.truncate({path!r}, 0)",
        "os.chmod({path!r}, 0)",
        "os.chown({path!r}, 1, 1)",
        "os.utime({path!r})",
        "os.link({path!r}, {path!r} + '2')",
        "os.symlink({path!r}, {path!r} + '2')",
        "os.mkdir({path!r} + '2')",
        "os.mkfifo({path!r} + '2')",
        "os.setxattr({path!r}, 'user.x', b'x')",
        "os.chdir('/tmp')",
        "os.chroot('/')",
        "os.memfd_create('x')",
    ],
)
def test_writing_files_is_refused_wherever_they_lie(sandbox: Sandbox, tmp_path: Path, attempt: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    victim.chmod(0o666)
    tmp_path.chmod(0o777)
    before = facts(victim)
    run = sandbox.run("import os; " + attempt.format(path=str(victim)))
    assert last_line(run).startswith(REFUSED)
    assert list(tmp_path.iterdir()) == [victim]
    assert facts(victim) == before


class TestReading:
    @pytest.fixture(autouse=True)
    def _needs_landlock(self, sandbox: Sandbox) -> None:
        if not sandbox.protection.held("reading"):
            pytest.skip("this kernel has no Landlock")

    def test_a_file_of_the_user_is_not_read(self, sandbox: Sandbox, tmp_path: Path) -> None:
        secret = tmp_path / "token"
        secret.write_text("hf_secret")
        run = sandbox.run(f"print(open({str(secret)!r}).read())")
        assert last_line(run).startswith(UNREADABLE)
        assert run.stdout == b""

    def test_no_process_is_looked_into(self, sandbox: Sandbox) -> None:
        for file in ("environ", "mem", "maps", "cmdline"):
            for who in ("self", str(os.getpid())):
                run = sandbox.run(f"print(open('/proc/{who}/{file}', 'rb').read(1))")
                assert last_line(run).startswith(UNREADABLE)

    def test_directories_are_not_listed(self, sandbox: Sandbox) -> None:
        for path in ("/", "/tmp", str(Path.home()), "/proc", "/dev"):
            assert last_line(sandbox.run(f"import os; os.listdir({path!r})")).startswith(UNREADABLE)

    def test_this_package_and_what_is_installed_is_not_read(self, sandbox: Sandbox) -> None:
        for path in (Path(__file__), Path(psutil.__file__), Path(sys.modules[Sandbox.__module__].__file__ or "")):
            assert last_line(sandbox.run(f"open({str(path)!r})")).startswith(UNREADABLE)

    def test_nor_what_is_installed_for_another_interpreter(self, sandbox: Sandbox) -> None:
        installed = [*Path("/usr/lib").glob("python*/*-packages/*"), *Path("/usr/lib").glob("python*/*-packages/*/*")]
        for path in [path for path in installed if path.is_file() and not path.is_symlink()][:10]:
            assert last_line(sandbox.run(f"open({str(path)!r})")).startswith(UNREADABLE)

    def test_no_rule_opens_a_directory_of_packages(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for directory in ("python3/dist-packages", "python3.9/site-packages", "python3.9/json", "gcc"):
            (tmp_path / directory).mkdir(parents=True)
        monkeypatch.setattr(landlock, "_LIBRARIES", (str(tmp_path), str(tmp_path / "absent")))
        files = {path for path, rights in landlock._interpreter() if rights & landlock._READ_FILE}
        assert {str(tmp_path / "python3.9/json"), str(tmp_path / "gcc")} <= files
        hidden = tmp_path / "python3/dist-packages"
        assert files.isdisjoint(str(path) for path in (hidden, *hidden.parents))

    def test_that_a_path_exists_can_be_found_out(self, sandbox: Sandbox, tmp_path: Path) -> None:
        """Not protected, and said so in the docs: Landlock does not govern stat."""
        assert sandbox.run(f"import os; print(os.path.exists({str(tmp_path)!r}))").stdout == b"True\n"


def test_the_environment_is_empty(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    program = "import os; print(dict(os.environ), os.environb, os.getenv('HF_TOKEN'))"
    with Sandbox(Limits()) as fresh:
        assert fresh.run(program).stdout == sandbox.run(program).stdout == b"{} environ({}) None\n"


def test_only_the_three_standard_files_are_open(sandbox: Sandbox) -> None:
    program = """
import os
for fd in range(256):
    try:
        os.fstat(fd)
    except OSError:
        continue
    print(fd)
"""
    assert sandbox.run(program).stdout == b"0\n1\n2\n"


@pytest.mark.parametrize("target", ["os.getppid()", "0", "-1", "1", "{trainer}"])
def test_signals_to_others_are_refused(sandbox: Sandbox, target: str) -> None:
    target = target.format(trainer=os.getpid())
    for signal in (0, 9):
        assert last_line(sandbox.run(f"import os; os.kill({target}, {signal})")).startswith(REFUSED)


def test_nor_do_descriptors_send_signals_for_it(sandbox: Sandbox) -> None:
    run = sandbox.run("import fcntl, os; fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())")
    assert last_line(run).startswith(REFUSED)


@pytest.mark.parametrize(
    "call",
    [
        "ptrace(16, {pid}, 0, 0)",
        "process_vm_readv({pid}, 0, 0, 0, 0, 0)",
        "unshare(0x10000000)",
        "mount(b'x', b'/', b'tmpfs', 0, 0)",
        "shmget(0, 4096, 0o1600)",
        "prctl(4, 1, 0, 0, 0)",
        "prlimit({pid}, 3, b'x' * 16, 0)",
        "syscall(425, 8, 0)",  # io_uring_setup
        "syscall(321, 0, 0, 0)",  # bpf
        "syscall(100000)",
    ],
)
def test_other_doors_of_the_kernel_are_shut(sandbox: Sandbox, call: str) -> None:
    program = (
        f"import ctypes; print(ctypes.CDLL(None, use_errno=True).{call.format(pid=os.getpid())}, ctypes.get_errno())"
    )
    assert sandbox.run(program).stdout == b"-1 1\n"


@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"])
def test_no_limit_is_lifted(sandbox: Sandbox, kind: str) -> None:
    program = f"import resource as r\nr.setrlimit(r.{kind}, (r.RLIM_INFINITY, r.RLIM_INFINITY))"
    assert sandbox.run(program).code == 1


def test_memory_ends_at_the_limit(sandbox: Sandbox) -> None:
    for bomb in ("bytearray(10**10)", "['a' * 10**6 for _ in range(10**9)]"):
        assert last_line(sandbox.run(bomb)) == "MemoryError"


def test_threads_end_the_program_when_they_are_too_many(sandbox: Sandbox) -> None:
    bomb = """
import threading, time
threading.stack_size(32768)
while True:
    threading.Thread(target=time.sleep, args=(100,)).start()
"""
    assert sandbox.run(bomb).ended == "threads"


@pytest.mark.parametrize("file", ["stdout", "stderr"])
def test_output_without_end_ends_the_program(sandbox: Sandbox, file: str) -> None:
    run = sandbox.run(f"import sys\nwhile True: print('x' * 999, file=sys.{file})")
    assert run.ended == "output"
    assert len(run.stdout) + len(run.stderr) < 10_000 + 2 * 65_536


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time; time.sleep(1000)",
        "import os; os.kill(os.getpid(), 19)",  # SIGSTOP
        "import os\nos.closerange(0, 3)\nwhile True: pass",
        "while True:\n try:\n  while True: pass\n except BaseException: pass",
        "import signal\nsignal.pthread_sigmask(0, range(1, 64))\nwhile True: pass",
        "9 ** 9 ** 9 ** 9",
    ],
)
def test_whatever_does_not_end_is_ended(sandbox: Sandbox, program: str) -> None:
    assert sandbox.run(program, seconds=0.3).ended == "timeout"


def test_a_later_program_finds_nothing_of_an_earlier_one(sandbox: Sandbox) -> None:
    sandbox.run("secret = 'the earlier ' + 'program'; print(secret)", "the earlier input")
    search = """
import ctypes, gc
found = [o for o in gc.get_objects() if isinstance(o, (str, bytes)) and 'earlier' in str(o)]
print(found)
"""
    assert sandbox.run(search).stdout == b"[]\n"


def test_nothing_is_left_when_a_sandbox_closes() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with Sandbox(Limits(seconds=0.2)) as sandbox:
        sandbox.run("while True: pass")
        sandbox.test("while True: pass", '{"text": "f()", "names": [], "modules": []}')
        (server,) = [c for c in psutil.Process().children(recursive=True) if c.pid not in before]
        assert server.children() == []
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before
