"""The rows about pictures: the guest `motion` and the viewer `Watcher`, the same for both kinds."""

import json
import os
import select
import socket
import statistics
import struct
import subprocess
import threading
import time

import xvnc

# CopyRect, DesktopSize and LastRect beside each, as viewers list them.
ENCODINGS = {"Raw": "0,-223", "Hextile": "5,1,0,-223", "Zlib": "6,1,0,-223",
             "Tight": "7,1,0,-223,-224", "ZRLE": "16,1,0,-223"}
STILL, NOISE, DESKTOP = "0x30", "0x31", "0x32"
VIEWERS = 16
STEPS = 40


class Control:
    """The socket by which a script drives a machine: Porthole's, or QEMU's."""

    def __init__(self, kind, path):
        self.kind = kind
        self.link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.link.connect(path)
        self.lines = self.link.makefile("rb")
        if kind == "qemu":
            self.lines.readline()
            self.ask(execute="qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.link.close()

    def ask(self, **request):
        self.link.sendall(json.dumps(request).encode() + b"\n")
        while True:
            reply = json.loads(self.lines.readline())
            if "error" in reply:
                raise RuntimeError(reply["error"])
            if "event" not in reply:
                return reply

    def screenshot(self, path):
        before = time.perf_counter()
        if self.kind == "qemu":
            self.ask(execute="screendump", arguments={"filename": path, "format": "png"})
        else:
            reply = self.ask(v=1, method="screenshot")
            with open(path, "wb") as file:
                file.write(self.lines.read(reply["body"]))
        return (time.perf_counter() - before) * 1000


def session_pictures(display):
    """The pictures of a session, as a script sees them, and the one before."""
    display.show(DESKTOP)
    display.show(STILL)
    pictures = []
    with Control(display.machine.kind, display.machine.control) as control:
        for step in range(STEPS + 1):
            if step:
                display.watch("press", "0x20")
            reply = control.ask(v=1, method="frame")
            pictures.append(control.lines.read(reply["body"]))
    return pictures


def beside_xvnc(display, folder, rows):
    """What a session takes in percent of what TigerVNC's server sends for the same pictures, which an
    X program puts there whole. It does not know Zlib."""
    listed = {name: value for name, value in ENCODINGS.items() if name != "Zlib"}
    theirs = xvnc.bytes_sent(session_pictures(display), display.watcher, listed, folder)
    return {f"bytes of a session, {name}, of Xvnc's": (
        "%", rows[f"bytes of a session, {name}"][1] * 1024 / count * 100)
        for name, count in theirs.items()}


def large_screenshot(binary, runtime_folder, folder):
    """Of the demo desktop, which QEMU has not got."""
    name = f"bench-large-{os.getpid()}"
    process = subprocess.Popen(
        [binary, "demo", "--resolution", "1920x1080", "--memory", "64M", "--name", name,
         "--vnc", f"unix:{folder}/{name}.vnc", "--no-password"], stdout=subprocess.DEVNULL)
    try:
        time.sleep(3)
        with Control("porthole", os.path.join(runtime_folder, f"{name}.sock")) as control:
            times = [control.screenshot(os.path.join(folder, "large.png")) for _ in range(15)]
    finally:
        process.terminate()
        process.wait(10)
    with open(os.path.join(folder, "large.png"), "rb") as file:
        size = struct.unpack(">II", file.read(24)[16:])
    if size != (1920, 1080):
        raise RuntimeError(f"the screenshot has {size[0]}x{size[1]} pixels")
    return {"screenshot of 1920x1080 to a PNG file": ("ms", statistics.median(times))}


class Display:
    """A machine that shows the guest `motion`, and what watches it."""

    def __init__(self, machine, watcher):
        self.machine = machine
        self.watcher = watcher
        self.output = b""
        while b"ready" not in self.output:
            ready = select.select([machine.process.stdout], [], [], 60)[0]
            piece = os.read(machine.process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                raise RuntimeError("the guest did not start")
            self.output += piece

    def watch(self, *words):
        result = subprocess.run([self.watcher, self.machine.socket, *map(str, words)], check=True,
                                capture_output=True, text=True, timeout=60)
        return json.loads(result.stdout) if result.stdout else None

    def show(self, scene):
        self.watch("press", scene)
        time.sleep(0.2)

    def screenshots(self, count, path):
        """Milliseconds of each of `count` pictures that a script saves as PNG files."""
        with Control(self.machine.kind, self.machine.control) as control:
            return [control.screenshot(path) for _ in range(count)]

    def cpu_seconds(self):
        """Processor time of the whole process, of threads that ended, too, and that of its vCPU."""
        pid = self.machine.process.pid
        guest = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{task}/comm") as file:
                    name = file.read()
                if name.startswith(("vcpu", "CPU ")):
                    with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                        guest += int(file.read().split()[0]) / 1e9
            except FileNotFoundError:
                pass  # it ended just now
        # The clock of another process: clock_getcpuclockid(3).
        return time.clock_gettime((~pid << 3) | 2), guest

    def rate(self, encoding, seconds):
        """Updates a second, and milliseconds of processor time a megapixel beside the guest's own."""
        before = self.cpu_seconds()
        result = self.watch("drain", ENCODINGS[encoding], seconds)
        after = self.cpu_seconds()
        spent = (after[0] - before[0]) - (after[1] - before[1])
        return result["updates"] / result["seconds"], spent * 1e9 / max(1, result["pixels"])

    def pictures(self, seconds):
        """Pictures a second that the guest draws: it prints a dot for every fifty. Dots that were
        printed before nobody read until now, and say nothing of this moment."""
        output = self.machine.process.stdout.fileno()
        while select.select([output], [], [], 0)[0]:
            os.read(output, 65536)
        times = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([output], [], [], 0.01)[0]:
                times += [time.monotonic()] * os.read(output, 4096).count(b".")
        if len(times) < 2:
            return 0
        return 50 * (len(times) - 1) / (times[-1] - times[0])


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def animations(display, seconds):
    rows = {}
    display.show(NOISE)
    for name in ENCODINGS:
        rate, cost = display.rate(name, seconds)
        rows[f"full-screen noise, {name}"] = ("updates/s", rate)
        rows[f"full-screen noise, {name}, CPU"] = ("ms/Mpixel", cost)
    display.show(DESKTOP)
    for name in ENCODINGS:
        rows[f"scrolling and dragging, {name}"] = ("updates/s", display.rate(name, seconds)[0])
    return rows


def latencies(display, count):
    rows = {}
    for scene, when in ((STILL, "still"), (DESKTOP, "while the desktop moves"),
                        (NOISE, "while noise fills it")):
        display.show(scene)
        for what in ("key", "pointer"):
            times = display.watch(what, count, 70)
            rows[f"{what} to pixel, {when}, median"] = ("ms", statistics.median(times))
            rows[f"{what} to pixel, {when}, p99"] = ("ms", percentile(times, 0.99))
    return rows


def stillness(display, seconds):
    """The share of a core that a still desktop takes with a viewer that waits and with none."""
    rows = {}
    display.show(STILL)
    for viewers, name in ((1, "with a viewer"), (0, "without one")):
        if viewers:
            thread = threading.Thread(
                target=display.watch, args=("drain", ENCODINGS["Raw"], seconds + 2))
            thread.start()
        time.sleep(1.5)
        before = display.cpu_seconds()[0]
        time.sleep(seconds)
        spent = display.cpu_seconds()[0] - before
        if viewers:
            thread.join()
        rows[f"CPU of a still desktop {name}"] = ("% of a core", spent / seconds * 100)
    return rows


def crowd(display, seconds):
    """How many pictures of a hundred the guest still draws while sixteen viewers watch, and how many
    of them each viewer gets."""
    display.show(DESKTOP)
    alone = display.pictures(seconds)
    viewers = [subprocess.Popen(
        [display.watcher, display.machine.socket, "drain", ENCODINGS["ZRLE"], str(seconds + 1)],
        stdout=subprocess.PIPE, text=True) for _ in range(VIEWERS)]
    time.sleep(0.5)
    crowded = display.pictures(seconds)
    seen = [json.loads(viewer.communicate(timeout=30)[0]) for viewer in viewers]
    rates = [each["updates"] / each["seconds"] for each in seen]
    return {f"guest's pictures with {VIEWERS} viewers": ("% of alone", crowded / alone * 100),
            f"pictures that each of {VIEWERS} viewers gets": ("updates/s", statistics.median(rates))}


def screenshots(display, count):
    display.show(DESKTOP)
    display.show(STILL)
    path = f"{display.machine.socket}.png"
    times = display.screenshots(count, path)
    return {"screenshot of 1024x768 to a PNG file": ("ms", statistics.median(times))}


def sessions(display):
    """Bytes for the same pictures: a desktop that scrolls and is dragged, step by step."""
    return {f"bytes of a session, {name}": (
        "KiB", display.watch("session", ENCODINGS[name], STEPS)["bytes"] / 1024)
        for name in ENCODINGS}


def measure_display(machine, watcher, quick, folder):
    """All rows of one machine."""
    with machine:
        display = Display(machine, watcher)
        rows = (animations(display, 1 if quick else 1.5) | latencies(display, 15 if quick else 60)
                | sessions(display) | screenshots(display, 5 if quick else 15)
                | stillness(display, 3 if quick else 8) | crowd(display, 2.5 if quick else 4))
        if machine.kind == "porthole" and xvnc.PROGRAM:
            rows |= beside_xvnc(display, folder, rows)
        return rows
