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
        first_pixel(address(said))
        showing.append((time.monotonic() - start) * 1000)
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


def measure_crowd(store):
    """Fifty desktops that nobody looks at, and how long one viewer waits for each."""
    store.run("create", "--count", CROWD, "idle-%d", "--guest", "demo:still", "--memory", "32M",
              "--no-password")
    names = [f"idle-{index + 1}" for index in range(CROWD)]
    try:
        start = time.monotonic()
        places = [address(line) for line in store.run("start", *names).splitlines()]
        starting = (time.monotonic() - start) * 1000
        time.sleep(3)
        pids = []
        for name in names:
            with open(os.path.join(store.home, "desktops", name, "lock")) as file:
                pids.append(int(file.readline()))
        before = sum(map(cpu_seconds, pids))
        time.sleep(IDLE_SECONDS)
        used = sum(map(cpu_seconds, pids)) - before
        memory = sum(map(proportional_memory, pids))
        answers = []
        for place in places:
            begun = time.monotonic()
            viewer = Viewer(place)
            viewer.request(incremental=False)
            viewer.update()
            answers.append((time.monotonic() - begun) * 1000)
            viewer.close()
        listing = min(store.took("list") for _ in range(3))
    finally:
        for name in names:
            subprocess.run([store.binary, "kill", name], env=store.environment, capture_output=True)
        store.run("delete", *names)
    return {
        "start of 50 desktops by one command": ("ms", starting),
        "50 idle desktops, CPU of all": ("% of a core", used / IDLE_SECONDS * 100),
        "50 idle desktops, memory of all (PSS)": ("MiB", memory),
        "50 idle desktops, first picture, median": ("ms", statistics.median(answers)),
        "50 idle desktops, first picture, longest": ("ms", max(answers)),
        "list of 50 running desktops": ("ms", listing),
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
