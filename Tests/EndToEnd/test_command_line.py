"""The command from outside: what it prints, how it ends, and what bad input does to it."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

PORTHOLE = os.environ.get("PORTHOLE", ".build/release/porthole")

needs_kvm = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                               reason="/dev/kvm is not there or may not be opened")


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A folder of this test's own for control sockets."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


class Desktop:
    """A running desktop, until the with block ends."""

    def __init__(self, *options, guest="echo"):
        command = [PORTHOLE, "run", *options] + (["--guest", guest] if guest else [])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL)
        self.line = self.process.stdout.readline().decode()

    def __enter__(self):
        assert self.line, self.process.stderr.read().decode()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    @property
    def port(self):
        return int(re.search(r":(\d+)", self.line.split("viewer to")[1]).group(1))

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(10)


def porthole(*arguments, text=None):
    return subprocess.run([PORTHOLE, *arguments], input=text, capture_output=True, text=True,
                          timeout=60)


def fails(*arguments, says, status=1):
    """The command fails with one sentence, which holds `says`."""
    result = porthole(*arguments)
    assert result.returncode == status, result.stderr
    assert says in result.stderr
    assert "Fatal" not in result.stderr
    first = result.stderr.strip().splitlines()
    assert status == 64 or len(first) == 1, result.stderr


# What it takes, what it prints, how it ends


@needs_kvm
def test_says_where_to_connect(runtime):
    with Desktop("--name", "desk") as desktop:
        assert re.fullmatch(
            r"desktop desk: connect a VNC viewer to 127\.0\.0\.1:\d+ password [a-z2-9]{8}\n",
            desktop.line)
        with socket.create_connection(("127.0.0.1", desktop.port), 5) as viewer:
            assert viewer.recv(12) == b"RFB 003.008\n"
        assert desktop.line.split()[-1].encode() not in open(
            f"/proc/{desktop.process.pid}/cmdline", "rb").read()


@needs_kvm
@pytest.mark.parametrize("number, status", [
    (signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
def test_ends_by_signal(runtime, number, status):
    with Desktop() as desktop:
        assert desktop.end(number) == status
        assert os.listdir(runtime / "porthole") == []


@needs_kvm
def test_nothing_listens_where_nobody_may_connect(runtime):
    with Desktop("--vnc", "none") as desktop:
        assert desktop.line == "desktop porthole: running without VNC\n"
        assert subprocess.run([PORTHOLE, "screenshot", "-"], capture_output=True).returncode == 0
        assert "vnc none" in porthole("list").stdout


@needs_kvm
def test_two_desktops_take_two_names_and_ports(runtime):
    with Desktop() as first, Desktop() as second:
        assert first.port != second.port
        assert [line.split()[0] for line in porthole("list").stdout.splitlines()] == [
            "porthole", "porthole-2"]
        fails("text", says="several desktops run; choose one with --name: porthole, porthole-2")
        fails("text", "--name", "other", says="no desktop named other runs")
        fails("run", "--guest", "echo", "--name", "porthole", says="runs already")
        assert porthole("stop", "--name", "porthole-2").returncode == 0
        assert second.process.wait(5) == 0
        assert porthole("list").stdout.startswith("porthole\t")


@needs_kvm
def test_a_killed_desktop_leaves_its_name_free(runtime):
    with Desktop("--name", "desk") as desktop:
        desktop.process.kill()
        desktop.process.wait()
        fails("screenshot", "-", says="no desktop runs")
    with Desktop("--name", "desk") as desktop:
        assert "desk" in desktop.line


@needs_kvm
def test_a_password_comes_from_a_file(runtime, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    with Desktop("--password-file", str(secret)) as desktop:
        assert desktop.line.endswith("password s3cret\n")


@needs_kvm
def test_a_screenshot_is_a_picture_and_keys_change_it(runtime, tmp_path):
    from PIL import Image
    with Desktop():
        path = tmp_path / "shot.png"

        def pixel():
            result = porthole("screenshot", str(path))
            assert result.returncode == 0, result.stderr
            with Image.open(path) as picture:
                return picture.size, picture.convert("RGB").getpixel((0, 0))

        deadline = time.monotonic() + 20
        while pixel()[0] != (320, 200) and time.monotonic() < deadline:
            time.sleep(0.05)
        size, before = pixel()
        assert size == (320, 200)
        assert porthole("key", "a").returncode == 0
        while pixel()[1] == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert pixel()[1] != before
        fails("text", says="graphics")
        fails("key", "ctrl-nonsense", says="nonsense")
        fails("screenshot", str(tmp_path / "no" / "shot.png"), says="no such file")
        raw = subprocess.run([PORTHOLE, "screenshot", "-"], capture_output=True)
        assert raw.stdout.startswith(b"\x89PNG")


@needs_kvm
def test_the_screen_says_why_nothing_boots(runtime, tmp_path):
    image = tmp_path / "blank.img"
    image.write_bytes(bytes(1_474_560))
    with Desktop("--floppy", str(image), guest=None):
        deadline = time.monotonic() + 20
        while "boot" not in (text := porthole("text").stdout).lower():
            assert time.monotonic() < deadline, text
            time.sleep(0.05)


@needs_kvm
def test_a_triple_fault_stops_the_desktop_when_asked(runtime, tmp_path):
    image = tmp_path / "fault.img"
    # cli; lidt of an empty table; protected mode; an instruction that is none.
    code = bytes.fromhex("fa 31c0 8ed8 0f011e207c 0f20c0 0c01 0f22c0 0f0b ebfe").ljust(38, b"\0")
    image.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1_474_560 - 512))
    with Desktop("--on-triple-fault", "stop", "--floppy", str(image), guest=None) as desktop:
        assert desktop.process.wait(20) == 2
        assert "triple fault" in desktop.process.stderr.read().decode()


@needs_kvm
def test_the_guest_ends_the_desktop_with_a_status_of_its_own(runtime, tmp_path):
    image = tmp_path / "exit.img"
    code = bytes.fromhex("b02ae6f4ebfe")
    image.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1_474_560 - 512))
    with Desktop("--debug-exit", "--floppy", str(image), guest=None) as desktop:
        assert desktop.process.wait(20) == 42


# Bad input


@needs_kvm
def test_a_port_in_use_is_a_sentence(runtime):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fails("run", "--guest", "echo", "--vnc", f"127.0.0.1:{port}", says="in use")


@needs_kvm
def test_bad_images_are_sentences(runtime, tmp_path):
    empty = tmp_path / "empty.img"
    empty.touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    for option in ("--floppy", "--disk", "--cdrom"):
        fails("run", option, str(tmp_path / "no.img"), says="no.img")
        fails("run", option, str(folder), says=str(folder))
        fails("run", option, str(empty), says="empty")
    fails("run", str(tmp_path / "no.iso"), says="no such file")
    if os.geteuid() != 0:
        secret = tmp_path / "secret.img"
        secret.write_bytes(bytes(512))
        secret.chmod(0)
        fails("run", "--disk", str(secret), says="permission denied")


@pytest.mark.parametrize("options, says", [
    (["--memory", "lots"], "64M"), (["--memory", "1K"], "between"),
    (["--cpus", "0"], "processors"), (["--cpus", "99999999999999999999"], "cpus"),
    (["--vnc", "1.2.3.4:99999"], "ports"), (["--name", "../etc"], "letters"),
    (["--serial", "tape"], "stdio"), (["--boot", "tape"], "tape"),
    (["--firmware", "none"], "builtin"), (["--no-such-option"], "no-such-option"),
])
def test_mistakes_on_the_command_line_are_named(runtime, options, says):
    fails("run", *options, says=says, status=64)


@needs_kvm
def test_more_memory_than_the_host_has_is_a_sentence(runtime):
    fails("run", "--guest", "echo", "--memory", "1T", says="more than this host has")


@needs_kvm
def test_a_socket_path_too_long_is_a_sentence(runtime, tmp_path, monkeypatch):
    long = tmp_path / ("d" * 90)
    long.mkdir(mode=0o700)
    fails("run", "--guest", "echo", "--vnc", f"unix:{long}/desk.sock", says="107")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    fails("run", "--guest", "echo", says="107")


def test_a_runtime_folder_open_to_others_is_refused(runtime):
    (runtime / "porthole").mkdir()
    (runtime / "porthole").chmod(0o777)
    fails("list", says="nobody else can open")


def test_nothing_runs(runtime):
    fails("text", says="no desktop runs")
    assert porthole("list").stdout == ""


@needs_kvm
def test_control_clients_that_misbehave_hurt_nobody(runtime):
    with Desktop("--name", "desk") as desktop:
        path = str(runtime / "porthole" / "desk.sock")

        def connect():
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(5)
            client.connect(path)
            return client

        silent = [connect() for _ in range(8)]
        garbage = connect()
        garbage.sendall(bytes(range(256)) * 64 + b"\n")
        assert b"bad-request" in garbage.recv(4096)
        flood = connect()
        try:
            flood.sendall(b"x" * (4 << 20))
        except (BrokenPipeError, ConnectionResetError):
            pass
        deaf = connect()
        deaf.sendall(b'{"v":1,"method":"screenshot"}\n' * 50)
        gone = connect()
        gone.sendall(b'{"v":1,"method":"screenshot"}\n' * 50)
        gone.close()
        with connect() as client:
            client.sendall(b'{"v":1,"id":7,"method":"status"}\n')
            status = json.loads(client.makefile().readline())
            assert status["id"] == 7
            assert status["status"]["pid"] == desktop.process.pid
        for client in silent + [garbage, flood, deaf]:
            client.close()
        assert desktop.end(signal.SIGTERM) == 0


# The host


def test_the_doctor_says_whether_desktops_run():
    result = porthole("doctor", "--json")
    report = json.loads(result.stdout)
    assert report["canRun"] == (result.returncode == 0)
    assert any(entry["name"] == "/dev/kvm" for entry in report["capabilities"])
    assert "Desktops" in porthole("doctor").stdout.splitlines()[-1]


def test_built_in_guests_are_listed_and_saved(tmp_path):
    names = [line.split("\t")[0] for line in porthole("guest").stdout.splitlines()]
    assert "demo" in names
    image = tmp_path / "demo.img"
    assert porthole("guest", "demo", "--write", str(image)).returncode == 0
    contents = image.read_bytes()
    assert len(contents) == 1_474_560
    assert contents[510:512] == b"\x55\xaa"
