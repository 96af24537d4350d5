"""What kill -9 leaves at every step of the commands that change the store.

A step is a system call that changes something outside the process. strace kills the command as it
enters the first of them, then the second, and so on to the last; the store has to be whole after
each.
"""

import collections
import json
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from conftest import FULL

pytestmark = [pytest.mark.without_kvm, pytest.mark.limit(600 if FULL else 120)]

CALLS = ("openat,write,pwrite64,pwritev,writev,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,"
         "rmdir,link,linkat,symlink,symlinkat,fsync,fdatasync,ftruncate,fallocate,copy_file_range,"
         "sendfile,ioctl,chmod,fchmod,flock,fcntl,socket,bind,listen,connect,sendto,fork,vfork,clone,"
         "clone3,execve")
# What only looks is a step in the full run alone: a kill there is one between the steps beside it.
LOOKS = re.compile(r"openat\((?!.*O_CREAT)|fcntl\(.*(F_GETFD|F_SETFD|F_OFD_GETLK|F_GETFL|F_SETFL)|connect"
                   r"|ioctl\(.*(TCGETS|TIOCG)|write\([12],|execve")


class Store:
    """A store on the host's memory, where syncing costs nothing, in which commands are killed."""

    def __init__(self, porthole, folder):
        self.porthole, self.home, self.folder = porthole, os.path.join(folder, "home"), folder
        porthole.environment["PORTHOLE_HOME"] = self.home

    def inside(self, *path):
        return os.path.join(self.home, *path)

    def steps(self, *arguments, before=lambda: None, fault="signal=SIGKILL", only=None):
        """Kills a command as it enters each step, or has the step fail; gives the step and whether the
        command lived, or what it said."""
        before()
        trace = os.path.join(self.folder, "trace")
        result = self.strace(["-o", trace, "-e", f"trace={CALLS}"], arguments)
        assert result.returncode == 0, result
        yield f"{' '.join(arguments)}: not killed", True
        with open(trace) as file:
            calls = [line for line in file if "(" in line and not line.startswith(("+++", "---"))]
        # strace counts each kind of call by itself.
        counts, killed = collections.Counter(), 0
        for line in calls:
            call = line.split("(")[0]
            counts[call] += 1
            if call == "execve" or (LOOKS.search(line) if only or not FULL else False):
                continue
            if only and (call not in only.split(",") or "/proc/" in line or re.search(r"write\([12],", line)):
                continue
            before()
            result = self.strace(
                ["-o", "/dev/null", "-e", f"trace={call}",
                 "-e", f"inject={call}:{fault}:when={counts[call]}"], arguments)
            if only:
                yield f"{' '.join(arguments)}: {fault} at {line.strip()}", result
                continue
            assert result.returncode in (0, -9, 137), (line, result)
            # A call that comes only now and then may not come this time.
            killed += result.returncode != 0
            yield f"{' '.join(arguments)}: killed at {line.strip()}", result.returncode == 0
        print(f"{' '.join(arguments)}: killed at {killed} steps")
        assert killed > 3 or only

    def strace(self, options, arguments):
        return subprocess.run(
            ["strace", "-qq", "--signal=none", *options, self.porthole.program, *arguments],
            env=self.porthole.environment, capture_output=True, text=True, timeout=60)

    def desktops(self, at):
        """The desktops' names by the next command, after which nothing half-made is there."""
        result = self.porthole("list", "--json")
        assert result.returncode == 0 and result.stderr == "", (at, result)
        names = {entry["name"]: entry["state"] for entry in json.loads(result.stdout)}
        folder = self.inside("desktops")
        there = sorted(os.listdir(folder)) if os.path.exists(folder) else []
        assert sorted(names) == there, at
        for name in there:
            files = set(os.listdir(self.inside("desktops", name)))
            assert files >= {"desktop.yaml", "lock"}, (at, files)
            assert files <= {"desktop.yaml", "lock", "disk.raw", "disk.qcow2", "password", "log",
                             "screen.png"}, (at, files)
        images = self.inside("images")
        if os.path.exists(images):
            assert not [name for name in os.listdir(images) if name.startswith(".")], at
        return names


@pytest.fixture
def store(porthole):
    folder = tempfile.mkdtemp(prefix="porthole-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        yield Store(porthole, folder)
        for name, state in Store(porthole, folder).desktops("the end").items():
            if state != "stopped":
                porthole("kill", name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def golden(store):
    """An image of the store."""
    path = os.path.join(store.folder, "golden.img")
    with open(path, "wb") as file:
        file.write(os.urandom(1 << 20))
        file.truncate(64 << 20)
    store.porthole.good("image", "import", path)
    return "golden"


def settings(store, name):
    return json.loads(store.porthole.good("show", name, "--json"))["settings"]


def users(store, image):
    return json.loads(store.porthole.good("image", "show", image, "--json"))["usedBy"]


def test_create(store, golden):
    def before():
        if os.path.exists(store.inside("desktops", "x")):
            store.porthole.good("delete", "x")
    for at, done in store.steps("create", "x", "--image", golden, before=before):
        there = "x" in store.desktops(at)
        assert there or not done, at
        assert users(store, golden) == ["x"] * there, at
        again = store.porthole("create", "x", "--image", golden)
        assert (again.returncode == 0) != there, (at, again)
        assert not there or "exists already" in again.stderr, (at, again)


def test_clone(store, golden):
    store.porthole.good("create", "base", "--image", golden)

    def before():
        if os.path.exists(store.inside("desktops", "x")):
            store.porthole.good("delete", "x")
    for at, done in store.steps("clone", "base", "x", before=before):
        names = store.desktops(at)
        assert "base" in names and ("x" in names or not done), at
        if "x" in names:
            assert settings(store, "x") == settings(store, "base"), at
        assert users(store, golden) == sorted(names), at


def test_delete(store, golden):
    def before():
        if not os.path.exists(store.inside("desktops", "x")):
            store.porthole.good("create", "x", "--image", golden)
    for at, done in store.steps("delete", "x", before=before):
        there = "x" in store.desktops(at)
        assert not (there and done), at
        assert users(store, golden) == ["x"] * there, at
        if there:
            assert settings(store, "x")["image"] == ["golden"]


def test_rename(store, golden):
    def before():
        if not os.path.exists(store.inside("desktops", "x")):
            store.porthole.good("rename", "y", "x")
    store.porthole.good("create", "x", "--image", golden)
    for at, done in store.steps("rename", "x", "y", before=before):
        names = sorted(store.desktops(at))
        assert names == ["y"] if done else names in (["x"], ["y"]), at
        assert users(store, golden) == names, at


def test_edit(store):
    path = store.inside("desktops", "x", "desktop.yaml")
    store.porthole.good("create", "x", "--size", "1M")
    with open(path) as file:
        text = file.read()

    def before():
        with open(path, "w") as file:
            file.write(text)
    for arguments in (("--set", "memory=64M"), ()):
        store.porthole.environment["EDITOR"] = "sed -i s/.*memory:.*/memory:\\ 64M/"
        for at, done in store.steps("edit", "x", *arguments, before=before):
            store.desktops(at)
            memory = settings(store, "x").get("memory")
            assert memory == ["64M"] or not done and memory is None, at


def test_start_and_stop(store):
    def before():
        store.porthole("kill", "x")
    store.porthole.good("create", "x", "--guest", "echo", "--memory", "8M", "--vnc", "none")
    for at, done in store.steps("start", "x", before=before):
        state = store.desktops(at)["x"]
        assert state == "running" or not done, at
        store.porthole.good("wait", "x", "--timeout", "20") if state != "stopped" else store.porthole.good("start", "x")
        assert store.desktops(at)["x"] == "running"

    def before():
        if store.desktops("before")["x"] != "running":
            store.porthole.good("start", "x")
    for at, done in store.steps("stop", "x", before=before):
        state = store.desktops(at)["x"]
        assert state == "stopped" or not done, at


WRITES = ("openat,write,pwrite64,rename,renameat2,mkdir,fsync,fdatasync,ftruncate,fallocate,link,"
          "copy_file_range,fchmod,unlink,rmdir")


@pytest.mark.parametrize("error", ["ENOSPC"] if not FULL else ["ENOSPC", "EIO", "EROFS"])
def test_a_host_that_fails_at_any_step(store, golden, error):
    """A full disk in the middle: one sentence, and the store is as it was, or the work is done."""
    store.porthole.good("create", "base", "--image", golden)

    def without(name):
        def before():
            if os.path.exists(store.inside("desktops", name)):
                store.porthole.good("delete", name)
        return before

    def unchanged():
        store.porthole.good("edit", "base", "--unset", "cpus")

    def judge(at, result):
        assert result.returncode in (0, 1), (at, result)
        lines = result.stderr.splitlines()
        if result.returncode:
            assert len(lines) == 1 and re.match("(Error|porthole): ", lines[0]), (at, result)
            assert ".making-" not in lines[0] and ".new-" not in lines[0], (at, result)
        return store.desktops(at)
    for arguments, name in ((("create", "x", "--image", golden), "x"), (("clone", "base", "x"), "x"))[:1 + FULL]:
        steps = store.steps(*arguments, before=without(name), fault=f"error={error}", only=WRITES)
        next(steps)
        for at, result in steps:
            there = judge(at, result)
            assert "base" in there and (name in there or result.returncode), (at, result)
    steps = store.steps("edit", "base", "--set", "cpus=2", before=unchanged, fault=f"error={error}", only=WRITES)
    next(steps)
    for at, result in steps:
        judge(at, result)
        assert settings(store, "base").get("cpus") == ["2"] or result.returncode, (at, result)
    path = os.path.join(store.folder, "other.img")
    with open(path, "wb") as file:
        file.write(os.urandom(1 << 20))

    def without_image():
        if os.path.exists(store.inside("images", "other")):
            store.porthole.good("image", "delete", "other")
    steps = store.steps("image", "import", path, before=without_image, fault=f"error={error}", only=WRITES)
    next(steps)
    for at, result in steps:
        judge(at, result)
        assert os.path.exists(store.inside("images", "other")) or result.returncode, (at, result)


def test_the_process_of_a_desktop(store):
    """Not the command that starts it: the one that it runs in, from its start to its end."""
    store.porthole.good("create", "x", "--guest", "echo", "--memory", "8M", "--vnc", "none")
    trace = os.path.join(store.folder, "trace")

    def lives(*options):
        with subprocess.Popen(
                ["strace", "-qq", "--signal=none", *options, store.porthole.program, "start",
                 "--foreground", "x"], env=store.porthole.environment, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True) as process:
            said = process.stdout.readline()
            if said:
                store.porthole("kill", "x")
            return process.wait(30) == 0
    assert lives("-o", trace, "-e", f"trace={CALLS}")
    counts = collections.Counter()
    with open(trace) as file:
        calls = [line for line in file if "(" in line and not line.startswith(("+++", "---"))]
    for line in calls:
        call = line.split("(")[0]
        counts[call] += 1
        # Every third step but in the full run: there are a hundred.
        if call == "execve" or not FULL and (LOOKS.search(line) or sum(counts.values()) % 3):
            continue
        lives("-o", "/dev/null", "-e", f"trace={call}",
              "-e", f"inject={call}:signal=SIGKILL:when={counts[call]}")
        assert store.desktops(line) == {"x": "stopped"}, line
    print("killed at", sum(counts.values()), "calls")
    store.porthole.good("start", "x")


def test_image_import_and_delete(store):
    path = os.path.join(store.folder, "golden.img")
    with open(path, "wb") as file:
        file.write(os.urandom(1 << 20))
    store.porthole.good("image", "import", path, "--name", "twin")

    def before():
        if os.path.exists(store.inside("images", "golden")):
            store.porthole.good("image", "delete", "golden")

    def images(at):
        store.desktops(at)
        names = [entry["name"] for entry in json.loads(store.porthole.good("image", "list", "--json"))]
        assert sorted(names) == sorted(os.listdir(store.inside("images"))), at
        assert "twin" in names and set(names) <= {"twin", "golden"}, at
        for name in names:
            assert sorted(os.listdir(store.inside("images", name))) == ["disk.raw", "image.yaml"], at
        return names
    for at, done in store.steps("image", "import", path, before=before):
        names = images(at)
        assert "golden" in names or not done, at
    store.porthole.good("image", "verify")

    def before():
        if not os.path.exists(store.inside("images", "golden")):
            store.porthole.good("image", "import", path)
    for at, done in store.steps("image", "delete", "golden", before=before):
        there = "golden" in images(at)
        assert not (done and there), at
