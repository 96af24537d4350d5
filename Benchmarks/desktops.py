"""The rows about desktops with names: made, started, idle in numbers, listed."""

import os
import re
import statistics
import subprocess
import tempfile
import time

from rfb import Viewer

GOLDEN_BYTES = 10 << 30
CROWD = 50
LISTED = 1000
IDLE_SECONDS = 5
# What the guest `firstlight` shows first: its size, and the colour of all of it.
FIRST_PICTURE = (1024, 768, 0x3060C0)


class Store:
    """A store and its sockets in a folder of their own, and the command that knows it."""

    def __init__(self, binary, folder, images):
        self.binary = binary
        self.home = os.path.join(folder, "store")
        self.images = images
        self.environment = dict(os.environ, PORTHOLE_HOME=self.home, XDG_RUNTIME_DIR=folder)

    def run(self, *arguments):
        result = subprocess.run([self.binary, *map(str, arguments)], env=self.environment,
                                capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            raise RuntimeError(f"{arguments}: {result.stderr}")
        return result.stdout

    def took(self, *arguments):
        """Milliseconds that the command took."""
        start = time.monotonic()
        self.run(*arguments)
        return (time.monotonic() - start) * 1000

    def golden(self):
        """A disk of 10 GiB that boots the guest whose first picture is known."""
        path = os.path.join(self.home + "-golden.img")
        with open(self.images["firstlight"], "rb") as source, open(path, "wb") as file:
            file.write(source.read())
            file.truncate(GOLDEN_BYTES)
        return path


def address(text):
    """Where a desktop said that viewers connect."""
    host, port = re.search(r"viewer to (\S+):(\d+)", text).groups()
    return host, int(port)


def first_pixel(place):
    """Waits until a viewer has seen the boot sector's picture."""
    viewer = Viewer(place)
    viewer.request(incremental=False)
    viewer.update()
    while (viewer.width, viewer.height, viewer.pixel(0, 0)) != FIRST_PICTURE:
        viewer.request(incremental=True)
        viewer.update()
    viewer.close()


def measure_making(store, runs):
    """Making a desktop from a golden image, alone and up to the first pixel at a viewer."""
    golden = store.golden()
    making = [store.took("create", f"made-{index}", "--image", golden) for index in range(runs)]
    showing = []
    for index in range(runs):
        start = time.monotonic()
        said = store.run("create", f"shown-{index}", "--image", golden, "--no-password", "--start")
        try:
            first_pixel(address(said))
            showing.append((time.monotonic() - start) * 1000)
        finally:
            store.run("kill", f"shown-{index}")
    store.run("delete", *(f"{kind}-{index}" for kind in ("made", "shown") for index in range(runs)))
    return {
        "create from a golden image of 10 GiB": ("ms", statistics.median(making)),
        "create and start to the first pixel": ("ms", statistics.median(showing)),
    }


def cpu_seconds(pid):
    """Processor time of a whole process: clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def proportional_memory(pid):
    """MiB of a process, of what it shares its part."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1)) / 1024


class Crowd:
    """Fifty desktops that run and that nobody looks at."""

    def __init__(self, store, *source):
        self.store = store
        self.names = [f"idle-{index + 1}" for index in range(CROWD)]
        store.run("create", "--count", CROWD, "idle-%d", "--memory", "32M", "--no-password", *source)

    def __enter__(self):
        start = time.monotonic()
        self.places = [address(line) for line in self.store.run("start", *self.names).splitlines()]
        self.starting = (time.monotonic() - start) * 1000
        time.sleep(3)
        self.pids = []
        for name in self.names:
            with open(os.path.join(self.store.home, "desktops", name, "lock")) as file:
                self.pids.append(int(file.readline()))
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run([self.store.binary, "kill", name], env=self.store.environment,
                           capture_output=True)
        self.store.run("delete", *self.names)

    def cpu(self):
        """Percent of a core that all of them take."""
        before = sum(map(cpu_seconds, self.pids))
        time.sleep(IDLE_SECONDS)
        return (sum(map(cpu_seconds, self.pids)) - before) / IDLE_SECONDS * 100

    def memory(self):
        return sum(map(proportional_memory, self.pids))

    def answers(self):
        """How long a viewer waits for each one's picture, in milliseconds."""
        times = []
        for place in self.places:
            begun = time.monotonic()
            viewer = Viewer(place)
            viewer.request(incremental=False)
            viewer.update()
            times.append((time.monotonic() - begun) * 1000)
            viewer.close()
        return times


def measure_crowd(store):
    """Desktops of a golden image whose guest waits for the timer, and demo desktops that stand still."""
    with Crowd(store, "--image", store.golden()) as crowd:
        used, memory, answers = crowd.cpu(), crowd.memory(), crowd.answers()
        rows = {
            "start of 50 desktops by one command": ("ms", crowd.starting),
            "50 idle desktops, CPU of all": ("% of a core", used),
            "50 idle desktops, memory of all (PSS)": ("MiB", memory),
            "50 idle desktops, first picture, median": ("ms", statistics.median(answers)),
            "50 idle desktops, first picture, longest": ("ms", max(answers)),
            "list of 50 running desktops": ("ms", min(store.took("list") for _ in range(3))),
        }
    with Crowd(store, "--guest", "demo:still") as crowd:
        return rows | {
            "50 still demo desktops, CPU of all": ("% of a core", crowd.cpu()),
            "50 still demo desktops, memory of all (PSS)": ("MiB", crowd.memory()),
        }


def measure_list(store):
    """The list of a thousand desktops."""
    store.run("create", "--count", LISTED, "listed-%d", "--size", "1G")
    times = [store.took("list") for _ in range(7)]
    return {"list of 1,000 desktops": ("ms", statistics.median(times))}


def measure_desktops(binary, images, quick):
    """All rows; only porthole has such desktops."""
    with tempfile.TemporaryDirectory(prefix="porthole-bench-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o700)
        store = Store(binary, folder, images)
        rows = measure_making(store, 3 if quick else 15)
        rows |= measure_crowd(store)
        return rows | measure_list(store)
