"""What the end-to-end tests share: the command, media, desktops, and a bound on every test's time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from desktop import Command, Desktop  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
FULL = os.environ.get("PORTHOLE_FULL", "") not in ("", "0")
# Where pictures of a failed comparison are kept.
KEPT = os.environ.get("PORTHOLE_KEEP") or os.path.join(HERE, "../../.build/end-to-end")
USUAL_LIMIT = 60


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): the most that the test may take")
    config.addinivalue_line("markers", "without_kvm: needs no /dev/kvm")
    # VNC's passwords are what they are.
    config.addinivalue_line("filterwarnings", "ignore:.*TripleDES")
    # Run in the background, the tests have these ignored, and programs inherit that; what is caught
    # here is theirs as usual.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_collection_modifyitems(items):
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        return
    for item in items:
        if not item.get_closest_marker("without_kvm"):
            item.add_marker(pytest.mark.skip(reason="/dev/kvm is missing or not permitted"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """A test that hangs fails."""
    mark = item.get_closest_marker("limit")
    seconds = mark.args[0] if mark else USUAL_LIMIT

    def late(*_):
        raise TimeoutError(f"the test took more than {seconds} s")
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def program():
    path = os.environ.get("PORTHOLE") or os.path.join(HERE, "../../.build/release/porthole")
    assert os.access(path, os.X_OK), f"{path} is missing: make build"
    return os.path.abspath(path)


@pytest.fixture
def folder():
    """A folder for the test, with a path short enough for sockets, that others can enter."""
    path = tempfile.mkdtemp(prefix="porthole-", dir="/tmp")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def porthole(program, folder):
    """The command, with a runtime folder in which only this test's desktops are."""
    return Command(program, folder)


@pytest.fixture
def desktops(porthole):
    """Starts desktops, and ends those that still run after the test."""
    started = []

    def start(*arguments, name=None, announced=True, **options):
        name = name or f"d{len(started)}"
        desktop = Desktop(porthole, *arguments, name=name, **options)
        started.append(desktop)
        return desktop.announced() if announced else desktop
    yield start
    for desktop in started:
        desktop.kill()


@pytest.fixture(scope="session")
def media():
    """Gives a boot medium's path; makes it where it is not there yet."""
    def path(name):
        result = subprocess.run(
            [sys.executable, os.path.join(HERE, "media/build.py"), name],
            capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout.split(":")[0]
    return path


@pytest.fixture(scope="session")
def doctor(program):
    """What `porthole doctor --json` lists."""
    result = subprocess.run([program, "doctor", "--json"], capture_output=True, text=True, timeout=30)
    return entries(json.loads(result.stdout))


def entries(value):
    """Every object with a field `present`, at any depth."""
    if isinstance(value, dict):
        found = [value] if "present" in value else []
        return found + [entry for part in value.values() for entry in entries(part)]
    if isinstance(value, list):
        return [entry for part in value for entry in entries(part)]
    return []


@pytest.fixture
def keep(request):
    """Where pictures of this test go when it fails."""
    return os.path.join(os.path.abspath(KEPT), request.node.name.replace("/", "-"))


@pytest.fixture
def boot_sector(folder):
    """Makes a floppy image that runs real-mode machine code."""
    def make(code, name="code.img", size=1_474_560, signature=b"\x55\xaa"):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(code.ljust(510, b"\0") + signature)
            file.truncate(size)
        return path
    return make
