"""Kill a command just before its n-th commit, whichever library makes it.

``Killer`` is a process that imports the heavy libraries once and then runs each command in a fork
of itself, traced: the kernel (seccomp, ptrace) stops the fork before every call that makes
something last or disappear below the home: a rename, a removal, a new folder, an fsync, a cut. At
the n-th the fork gets SIGKILL, from outside, as any process might. Counting without killing tells
how many there are, so a test can go through all of them. Killed *before* commit n is killed
*after* commit n - 1, and with ``writes`` also between two writes of one commit.

A full disk is the same: from the n-th write on, everything that needs space fails with ENOSPC.
"""

import ctypes
import ctypes.util
import json
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
IS_SUPPORTED = sys.platform == "linux" and platform.machine() == "x86_64"

# Which calls, by their number on x86_64; the argument that names the file.
_BY_DESCRIPTOR = {"fsync": 74, "fdatasync": 75, "ftruncate": 77}
_BY_PATH = {"rename": 82, "mkdir": 83, "rmdir": 84, "unlink": 87}
_BY_FOLDER_AND_PATH = {"renameat": 264, "renameat2": 316, "mkdirat": 258, "unlinkat": 263}
_WRITES = {"write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "fallocate": 285}
_CREATES = {"openat": 257}
_COMMITS = _BY_DESCRIPTOR | _BY_PATH | _BY_FOLDER_AND_PATH
_NEEDS_SPACE = frozenset((*_WRITES, *_CREATES, "mkdir", "mkdirat", "ftruncate"))
_NAMES = {number: name for name, number in (_COMMITS | _WRITES | _CREATES).items()}

_TRACEME, _CONT, _GETREGS, _SETREGS, _SETOPTIONS = 0, 7, 12, 13, 0x4200
_OPTIONS = 0x2 | 0x4 | 0x8 | 0x80 | 0x100000  # forks, vforks, clones, seccomp; die with us
_SECCOMP_EVENT = signal.SIGTRAP | (7 << 8)
_REGS = 27  # of 8 bytes; the ones used here:
_RAX, _RDX, _RSI, _RDI, _ORIG_RAX = 10, 12, 13, 14, 15
_AT_FDCWD, _ENOSPC = -100 & 0xFFFFFFFF, 28
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (-9: killed), and every commit it came to."""

    code: int
    commits: list[str]
    stderr: str


class Killer:
    """Runs ``vitrine`` commands for one test; see ``killer()``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self,
        *arguments: str,
        home: Path,
        kill_at: int | None = None,
        full_at: int | None = None,
        writes: bool = False,
        file_limit: int | None = None,
        **settings: str,
    ) -> Ended:
        """Run ``vitrine <arguments>`` to its end, or to its death.

        Args:
            arguments: As a person would type them.
            home: VITRINE_HOME; only what lies below it is counted.
            kill_at: SIGKILL before the commit of this number (0 is the first).
            full_at: From the write of this number on the disk is full. Counts writes.
            writes: Count (and kill before) writes to files as well.
            file_limit: No file may become larger than so many bytes (RLIMIT_FSIZE).
            settings: ``source="files"`` becomes VITRINE_SOURCE=files.
        """
        environment = {f"VITRINE_{name.upper()}": value for name, value in settings.items()}
        job = {
            "arguments": arguments,
            "environment": environment | {"VITRINE_HOME": str(home)},
            "home": str(home),
            "kill_at": kill_at,
            "full_at": full_at,
            "file_limit": file_limit,
            "writes": writes or full_at is not None,
        }
        return Ended(**self._ask(job))

    def together(
        self, *commands: Sequence[str], home: Path, **settings: str
    ) -> list[tuple[int, str]]:
        """Run several commands in one home at the same time: exit code and stderr of each."""
        environment = {f"VITRINE_{name.upper()}": value for name, value in settings.items()}
        job = {
            "together": [list(command) for command in commands],
            "environment": environment | {"VITRINE_HOME": str(home)},
        }
        return [(code, said) for code, said in self._ask(job)["ended"]]

    def state(self, home: Path) -> dict[str, object]:
        """``tests.homes.state`` of a home, found in a fork (nothing heavy is imported twice)."""
        job = {"state_of": str(home), "environment": {"VITRINE_HOME": str(home)}}
        answer = self._ask(job)
        assert "state" in answer, answer["error"]
        return answer["state"]

    def _ask(self, job: dict) -> dict:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        answer = stdout.readline()
        assert answer, "the killer itself died"
        return json.loads(answer)


@contextmanager
def killer(*modules: str, environment: Mapping[str, str] | None = None) -> Iterator[Killer]:
    """A killer that has imported ``modules``; name those that the commands would import."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.killing", *modules],
        cwd=ROOT,
        env={**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Killer(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()


def _serve(modules: Sequence[str]) -> None:
    """Answer jobs on standard input until it ends. Nothing but imports happens in this process."""
    import importlib

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What a library prints while it is imported is no answer.
    for module in ("cli.main", *modules):
        importlib.import_module(module)
    for line in sys.stdin:
        job = json.loads(line)
        kinds = {"state_of": _look, "together": _together}
        answer = next((kinds[kind](job) for kind in kinds if kind in job), None) or _answer(job)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _look(job: dict) -> dict:
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.environ.update(job["environment"])
        try:
            from tests.homes import state

            found = {"state": state(Path(job["state_of"]))}
        except BaseException as error:
            found = {"error": repr(error)}
        with os.fdopen(told, "w") as pipe:
            json.dump(found, pipe)
        os._exit(0)
    os.close(told)
    with os.fdopen(heard) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer)


def _together(job: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        words = [Path(folder) / str(number) for number in range(len(job["together"]))]
        children = []
        for command, told in zip(job["together"], words, strict=True):
            child = os.fork()
            if child == 0:
                os.dup2(os.open(told, os.O_WRONLY | os.O_CREAT), 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                _become(command, job["environment"])
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        said = [told.read_text() for told in words]
    return {"ended": list(zip(codes, said, strict=True))}


def _answer(job: dict) -> dict:
    heard, told = os.pipe()
    os.set_blocking(heard, False)
    child = os.fork()
    if child == 0:
        os.close(heard)
        os.dup2(told, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _run_traced(job)
    os.close(told)
    trace = _Trace(job)
    words = bytearray()
    code = trace.follow(child, hear=lambda: _drain(heard, words))
    _drain(heard, words)
    os.close(heard)
    return {"code": code, "commits": trace.commits, "stderr": words.decode(errors="replace")}


def _drain(pipe: int, into: bytearray) -> None:
    while True:
        try:
            heard = os.read(pipe, 65_536)
        except BlockingIOError:
            return
        if not heard:
            return
        into += heard


def _run_traced(job: dict) -> None:
    """The fork: ask to be traced, wait for the tracer, become the command."""
    if job["file_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_limit"],) * 2)
    _libc.ptrace(_TRACEME, 0, None, None)
    _trace_calls(job["writes"], job["full_at"] is not None)
    os.kill(os.getpid(), signal.SIGSTOP)
    _become(job["arguments"], job["environment"])


def _become(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Be the command, to the end of this process."""
    code = 70
    try:
        os.environ.update(environment)
        from cli.main import main

        sys.argv = ["vitrine", *arguments]
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        sys.stderr.flush()
        os._exit(code)


class _SockFprog(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


def _trace_calls(writes: bool, creates: bool) -> None:
    """Ask the kernel to stop at these calls only; everything else runs at full speed."""
    calls = {**_COMMITS, **(_WRITES if writes else {}), **(_CREATES if creates else {})}
    numbers = sorted(calls.values())
    load, jump_equal, ret = 0x20, 0x15, 0x06
    allow, trace = 0x7FFF0000, 0x7FF00000
    program = struct.pack("HBBI", load, 0, 0, 0)
    for at, number in enumerate(numbers):
        program += struct.pack("HBBI", jump_equal, len(numbers) - at, 0, number)
    program += struct.pack("HBBI", ret, 0, 0, allow) + struct.pack("HBBI", ret, 0, 0, trace)
    filters = _SockFprog(len(program) // 8, program)
    _libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    if _libc.prctl(22, 2, ctypes.byref(filters), 0, 0):  # PR_SET_SECCOMP, a filter
        raise OSError(ctypes.get_errno(), "seccomp")


class _Trace:
    """Follows one fork and all its threads and children, stop by stop."""

    def __init__(self, job: dict) -> None:
        self.commits: list[str] = []
        self._home = job["home"].rstrip("/")
        self._kill_at, self._full_at = job["kill_at"], job["full_at"]

    def follow(self, child: int, *, hear) -> int:
        os.waitpid(child, 0)
        self._child = child
        _libc.ptrace(_SETOPTIONS, child, None, _OPTIONS)
        _libc.ptrace(_CONT, child, None, None)
        while True:
            hear()
            try:
                thread, status = os.waitpid(-1, 0x40000000)  # __WALL
            except ChildProcessError:
                return -signal.SIGKILL
            if not os.WIFSTOPPED(status):
                if thread == child:
                    return self._end(status)
                continue
            self._go_on(thread, status)

    def _end(self, status: int) -> int:
        while True:  # Children of the fork that outlived it; they die with it (EXITKILL is ours).
            try:
                thread, after = os.waitpid(-1, 0x40000000 | os.WNOHANG)
            except ChildProcessError:
                break
            if thread == 0:
                break
            if os.WIFSTOPPED(after):
                os.kill(thread, signal.SIGKILL)
        return os.waitstatus_to_exitcode(status)

    def _go_on(self, thread: int, status: int) -> None:
        if status >> 8 == _SECCOMP_EVENT:
            self._at_call(thread)
            passed_on = 0
        else:
            found = os.WSTOPSIG(status)
            passed_on = 0 if found in {signal.SIGTRAP, signal.SIGSTOP} else found
        _libc.ptrace(_CONT, thread, None, passed_on)

    def _at_call(self, thread: int) -> None:
        regs = (ctypes.c_ulonglong * _REGS)()
        _libc.ptrace(_GETREGS, thread, None, ctypes.addressof(regs))
        name = _NAMES[regs[_ORIG_RAX]]
        if name == "openat" and not regs[_RDX] & os.O_CREAT:
            return
        path = self._path(thread, name, regs)
        if path is None or not f"{path}/".startswith(f"{self._home}/"):
            return
        if name.startswith("mkdir") and Path(path).exists():
            return
        is_full = self._full_at is not None and len(self.commits) >= self._full_at
        self.commits.append(f"{name} {path[len(self._home) :] or '/'}")
        if is_full and name in _NEEDS_SPACE and not (name == "openat" and Path(path).exists()):
            regs[_ORIG_RAX] = 2**64 - 1
            regs[_RAX] = 2**64 - _ENOSPC
            _libc.ptrace(_SETREGS, thread, None, ctypes.addressof(regs))
        if self._kill_at is not None and len(self.commits) > self._kill_at:
            os.kill(self._child, signal.SIGKILL)

    def _path(self, thread: int, name: str, regs) -> str | None:
        """The file this call is about; None if it is none, or is gone."""
        try:
            if name in _BY_DESCRIPTOR or name in _WRITES:
                return str(Path(f"/proc/{thread}/fd/{regs[_RDI]}").readlink())
            if name in _BY_PATH:
                return self._absolute(thread, _AT_FDCWD, regs[_RDI])
            return self._absolute(thread, regs[_RDI] & 0xFFFFFFFF, regs[_RSI])
        except OSError:
            return None

    @staticmethod
    def _absolute(thread: int, folder: int, address: int) -> str:
        with Path(f"/proc/{thread}/mem").open("rb", 0) as memory:
            memory.seek(address)
            name = b""
            while b"\0" not in name:
                name += memory.read(min(256, 4096 - (address + len(name)) % 4096))
        text = os.fsdecode(name.split(b"\0")[0])
        where = "cwd" if folder == _AT_FDCWD else f"fd/{folder}"
        return os.path.normpath(Path(f"/proc/{thread}/{where}").readlink() / text)


if __name__ == "__main__":
    _serve(sys.argv[1:])
