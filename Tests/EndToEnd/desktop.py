"""A desktop as a test sees it: the process `porthole run`, its control socket, its screen."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from PIL import Image, ImageChops

# A line of a desktop's standard error when an instruction or a mode is beyond this host's KVM: where
# it was, in which mode, the bytes, and that the host is to blame.
HOST_LIMIT = re.compile(
    r"^porthole: (?P<name>\S+): the guest stopped at (?P<place>[0-9a-f]{4}:[0-9a-f]{4,16})"
    r" in (?P<mode>[a-z0-9 -]+ mode) on the instruction (?P<bytes>[0-9a-f]{2}( [0-9a-f]{2}){0,14}):"
    r" this host's KVM (can't run that instruction in this mode|has no 32-bit paging);"
    r" `porthole doctor` tells what it (can|has)$", re.M)

ANNOUNCEMENT = re.compile(
    r"^desktop (?P<name>\S+): (connect a VNC viewer to (?P<viewers>\S+)"
    r"( password (?P<password>\S+)| without a password)|running without VNC)$", re.M)


class Ended(AssertionError):
    """The desktop ended where the test did not expect it."""


def until(condition, seconds, what, pause=0.02):
    """Waits until `condition` gives something true, and gives that back."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(pause)


class Command:
    """The command under test, with a runtime folder of the test's own."""

    def __init__(self, program, folder):
        self.program = program
        self.folder = folder
        self.environment = dict(os.environ, XDG_RUNTIME_DIR=folder, LC_ALL="C.UTF-8")

    def __call__(self, *arguments, input=None, timeout=20, **options):
        """Runs it to its end; the result has `returncode`, `stdout` and `stderr`."""
        return subprocess.run(
            [self.program, *map(str, arguments)], env=self.environment, input=input, timeout=timeout,
            capture_output=True, text=options.pop("text", True), **options)

    def good(self, *arguments, **options):
        """Runs it, and it has to succeed; what it printed."""
        result = self(*arguments, **options)
        assert result.returncode == 0, f"{arguments}: {result.returncode}: {result.stderr}"
        return result.stdout

    def refused(self, *arguments, status=1, **options):
        """Runs it, and it has to fail with one sentence, which is given back.

        A mistake on the command line (64) may have the usage behind the sentence.
        """
        result = self(*arguments, **options)
        assert result.returncode == status, f"{arguments}: {result.returncode}: {result.stderr}"
        assert result.stdout == "", result.stdout
        lines = result.stderr.rstrip("\n").split("\n")
        if status == 64:
            rest = [line for line in lines[1:] if line.strip()]
            assert all(line.startswith(("Help:", "Usage:", "  See ")) for line in rest), lines
        else:
            assert len(lines) == 1, result.stderr
        sentence = re.fullmatch(r"(Error|porthole): (.+)", lines[0])
        assert sentence, result.stderr
        assert "Swift." not in result.stderr and "Optional(" not in result.stderr
        return sentence.group(2)


class Desktop:
    """A running `porthole run`. Ends, by force if need be, with the `with` block it stands in."""

    def __init__(self, command, *arguments, name, wrap=(), **options):
        self.command = command
        self.name = name
        self.log = os.path.join(command.folder, f"{name}-{time.monotonic_ns()}")
        with open(self.log + ".out", "wb") as out, open(self.log + ".err", "wb") as err:
            self.process = subprocess.Popen(
                [*wrap, command.program, "run", "--name", name, *map(str, arguments)],
                env=command.environment, stdin=options.pop("stdin", subprocess.DEVNULL),
                stdout=options.pop("stdout", out), stderr=err, **options)
        self.pid = self.process.pid
        self.host = self.port = self.password = None
        self.last_text = ""
        self._watching = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._watching:
            self._watching.join()

    @property
    def output(self):
        with open(self.log + ".out", encoding="utf-8", errors="replace") as file:
            return file.read()

    @property
    def errors(self):
        with open(self.log + ".err", encoding="utf-8", errors="replace") as file:
            return file.read()

    def announced(self, seconds=10):
        """Waits for the line that says where to connect, and reads it."""
        line = until(self._announcement, seconds, "the desktop says where to connect", pause=0.005)
        if line["viewers"] and not line["viewers"].startswith("unix:"):
            self.host, port = line["viewers"].rsplit(":", 1)
            self.port = int(port)
        self.password = line["password"]
        return self

    def _announcement(self):
        found = ANNOUNCEMENT.search(self.output + self.errors)
        if not found:
            self.check()
        return found

    def check(self):
        """Raises where the process has ended."""
        status = self.process.poll()
        if status is not None:
            raise Ended(f"the desktop ended with {status}: {self.errors}")

    def ended(self, seconds=10):
        """Waits for the process's end; its exit status."""
        return self.process.wait(timeout=seconds)

    # ---- What the commands do ----

    def run(self, verb, *arguments, **options):
        return self.command.good(verb, "--name", self.name, *arguments, **options)

    def text(self):
        return self.run("text")

    def type(self, text, *arguments, **options):
        self.run("type", *arguments, "--", text, **options)

    def key(self, *chords, **options):
        self.run("key", *chords, **options)

    def reset(self):
        self.run("reset")

    def picture(self):
        """The screen, through `porthole screenshot`."""
        data = self.run("screenshot", "-", text=False)
        return Image.open(io.BytesIO(data)).convert("RGB")

    # ---- What a program that knows the control protocol does: quicker than a process each ----

    def ask(self, method, **fields):
        """One request over the control socket: the reply and its body."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(20)
            link.connect(os.path.join(self.command.folder, "porthole", self.name + ".sock"))
            link.sendall(json.dumps({"v": 1, "id": 7, "method": method, **fields}).encode() + b"\n")
            with link.makefile("rb") as stream:
                reply = json.loads(stream.readline())
                return reply, stream.read(reply.get("body", 0))

    def glance(self):
        """The text screen; empty in a graphics mode, raises where the desktop has ended."""
        try:
            text = self.ask("text")[0].get("text", "")
        except (OSError, ValueError):
            time.sleep(0.05)
            self.check()
            return ""
        if text.strip():
            self.last_text = text
        return text

    def wait_text(self, pattern, seconds):
        """Waits until the text screen has `pattern`; the match."""
        try:
            return until(
                lambda: re.search(pattern, self.glance()), seconds, f"{pattern!r} on the screen")
        except AssertionError as problem:
            if isinstance(problem, Ended):
                self.process.wait()
                raise
            raise AssertionError(f"{problem}; it shows:\n{self.last_text}") from None

    def watch(self):
        """Keeps the last text that the screen shows, up to the desktop's end."""
        def look():
            with contextlib.suppress(Ended):
                while True:
                    self.glance()
                    time.sleep(0.002)
        self._watching = threading.Thread(target=look, daemon=True)
        self._watching.start()
        return self

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)


@contextlib.contextmanager
def as_far_as_the_host_can(desktop, doctor, *, beyond, shown=None):
    """Runs the block; where this host's KVM can't run what it needs, the test counts as expected to
    fail. That holds only where `porthole doctor` says so, the desktop ended with 1 and with the one
    line that names place, mode, bytes and cause, and the guest had come far enough: out of the modes
    in `beyond`, and past the text `shown`.
    """
    try:
        yield
    except (Ended, AssertionError):
        if desktop.process.poll() is None:
            raise
        limit = HOST_LIMIT.search(desktop.errors)
        if not limit:
            raise
        assert desktop.process.returncode == 1, "a desktop that the host stopped ends with 1"
        assert len(HOST_LIMIT.findall(desktop.errors)) == 1, desktop.errors
        assert limit["name"] == desktop.name
        assert limit["mode"] not in beyond, f"not even past {beyond}: {limit.group()}"
        if shown:
            if desktop._watching:
                desktop._watching.join(5)
            assert re.search(shown, desktop.last_text), f"{shown!r} not in: {desktop.last_text!r}"
        lacks = [entry for entry in doctor if entry["present"] is False]
        assert lacks, "the doctor finds nothing missing on this host"
        pytest.xfail(limit.group())


def differing(one, other):
    """The box in which two pictures differ; None where they are the same."""
    if one.size != other.size:
        return (0, 0, *one.size)
    return ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getbbox()


def same(one, other, *, keep=None):
    """Asserts that two pictures are the same, and keeps both and the difference where not."""
    box = differing(one, other)
    if box is None:
        return
    where = ""
    if keep:
        os.makedirs(os.path.dirname(keep), exist_ok=True)
        one.save(keep + "-is.png")
        other.save(keep + "-should-be.png")
        if one.size == other.size:
            difference = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
            difference.point(lambda value: 255 if value else 0).save(keep + "-difference.png")
        where = f"; see {keep}-*.png"
    raise AssertionError(f"{one.size} and {other.size} differ in {box}{where}")
