#!/usr/bin/env python3
"""Measures Porthole beside QEMU in one run and prints a table; BENCH_JSON=file keeps the rows.

Every row is the median of several runs. QEMU is Debian's with `-accel kvm -cpu qemu64`, and with
`-accel tcg` beside the engine in software: the instruction mixes and the start of a kernel.
"""

import argparse
import ctypes
import datetime
import json
import mmap
import os
import platform
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from desktops import measure_desktops
from disk import measure_disk_images
from display import large_screenshot, measure_display
from rfb import connect_when_up

MEMORY_MIB = 64
MODES = {"real": "real mode", "protected": "32-bit paged mode", "long": "64-bit mode"}
MIXES = ("integer", "branch", "call", "memory")
FIRST_PICTURE = (1024, 768, 0x3060C0)


def runtime_folder():
    """Where desktops have their control sockets (docs/control-protocol.md)."""
    folder = os.environ.get("XDG_RUNTIME_DIR")
    if folder and os.path.isdir(folder) and os.stat(folder).st_uid == os.getuid():
        return os.path.join(folder, "porthole")
    return os.path.join(tempfile.gettempdir(), f"porthole-{os.getuid()}")


class Machine:
    """One virtual machine, of either kind, booting an image: Porthole as a floppy disk, QEMU as a
    hard disk, since its floppy drive times out on a busy host."""

    def __init__(self, kind, binary, image, folder):
        self.kind = kind
        self.socket = os.path.join(folder, f"{kind}-{time.monotonic_ns()}.sock")
        self.control = (f"{self.socket}.qmp" if kind == "qemu"
                        else os.path.join(runtime_folder(), f"bench-{os.getpid()}.sock"))
        if kind == "porthole":
            command = [binary, "run", "--floppy", image, "--memory", f"{MEMORY_MIB}M",
                       "--vnc", f"unix:{self.socket}", "--no-password",
                       "--serial", "stdio", "--name", f"bench-{os.getpid()}"]
        else:
            # So that its threads have names.
            name = f"bench-{os.getpid()},debug-threads=on"
            command = [binary, "-name", name, "-accel", "kvm", "-cpu", "qemu64", "-m",
                       str(MEMORY_MIB), "-display", "none", "-vnc", f"unix:{self.socket}", "-nodefaults",
                       "-qmp", f"unix:{self.control},server,nowait",
                       "-serial", "stdio", "-vga", "std", "-drive", f"file={image},format=raw,if=ide"]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def viewer(self):
        return connect_when_up(self.socket)

    def cpu_seconds(self):
        total = 0
        base = f"/proc/{self.process.pid}/task"
        for task in os.listdir(base):
            with open(f"{base}/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def resident_beyond_guest_ram(self):
        """MiB resident in this process, apart from the guest's RAM."""
        resident = 0
        header = ""
        size = 0
        with open(f"/proc/{self.process.pid}/smaps") as file:
            for line in file:
                key = line.split(":")[0]
                if "-" in key and " " in line and not line.startswith(("Rss", "Size")) \
                        and key.split("-")[0].isalnum() and line.split()[1].count("p") <= 2 \
                        and "/" not in key and len(line.split()) >= 5:
                    header = line
                elif key == "Size":
                    size = int(line.split()[1])
                elif key == "Rss":
                    is_ram = "guest-ram" in header or size == MEMORY_MIB * 1024
                    resident += 0 if is_ram else int(line.split()[1])
        return resident / 1024


def wait_for(viewer, condition, deadline=60.0):
    end = time.monotonic() + deadline
    while not condition(viewer):
        if time.monotonic() > end:
            raise TimeoutError("the picture never came")
        viewer.request(incremental=True)
        viewer.update()


def first_picture(viewer):
    width, height, colour = FIRST_PICTURE
    return (viewer.width, viewer.height) == (width, height) and viewer.pixel(0, 0) == colour


def key_screen(viewer):
    """The echo guest's 320x200, which QEMU shows doubled."""
    return (viewer.width, viewer.height) in ((320, 200), (640, 400)) and viewer.pixel(0, 0) != 0


def measure_start(kind, binary, images, folder, runs):
    """Milliseconds from process start to the handshake and to the boot sector's first pixel."""
    handshakes, pictures = [], []
    for _ in range(runs):
        with Machine(kind, binary, images["firstlight"], folder) as machine:
            viewer = machine.viewer()
            handshakes.append((time.monotonic() - machine.started) * 1000)
            viewer.request(incremental=False)
            viewer.update()
            wait_for(viewer, first_picture)
            pictures.append((time.monotonic() - machine.started) * 1000)
            viewer.close()
    return {"start to VNC handshake": handshakes, "start to first picture": pictures}


def settle(viewer, seconds):
    """Asks for an update and takes all that come until none came for `seconds`; one stays asked for."""
    viewer.request(incremental=True)
    while viewer.buffer or select.select([viewer.socket], [], [], seconds)[0]:
        viewer.update()
        viewer.request(incremental=True)


def measure_keys(kind, binary, images, folder, keys):
    """Milliseconds from a key event to the changed pixel, on a screen that was still."""
    times = []
    with Machine(kind, binary, images["echo"], folder) as machine:
        viewer = machine.viewer()
        viewer.request(incremental=False)
        viewer.update()
        wait_for(viewer, key_screen)
        time.sleep(1)
        for index in range(keys):
            settle(viewer, 0.15 + 0.013 * (index % 7))
            before = viewer.pixel(0, 0)
            start = time.monotonic()
            viewer.key(0x61, True)
            while viewer.pixel(0, 0) == before:
                viewer.update()
                if viewer.pixel(0, 0) == before:
                    viewer.request(incremental=True)
            times.append((time.monotonic() - start) * 1000)
            viewer.key(0x61, False)
        viewer.close()
    return times


def measure_changes(kind, binary, images, folder, changes):
    """Milliseconds from a change that the guest makes by itself, on a screen that was still for a
    second, to the changed pixel."""
    times = []
    with Machine(kind, binary, images["pulse"], folder) as machine:
        viewer = machine.viewer()
        viewer.request(incremental=False)
        viewer.update()
        wait_for(viewer, key_screen)
        output = machine.process.stdout.fileno()
        os.set_blocking(output, False)
        for _ in range(changes):
            while select.select([output], [], [], 0)[0] and os.read(output, 4096):
                pass
            before = viewer.pixel(0, 0)
            viewer.request(incremental=True)
            told = None
            while viewer.pixel(0, 0) == before or told is None:
                ready = select.select([output, viewer.socket], [], [], 10)[0]
                if output in ready:
                    os.read(output, 4096)
                    told = time.monotonic()
                if viewer.socket in ready:
                    viewer.update()
                    seen = time.monotonic()
                    if viewer.pixel(0, 0) == before:
                        viewer.request(incremental=True)
            # The picture may even come before the byte.
            times.append(max(0.0, (seen - told) * 1000))
        viewer.close()
    return times


def measure_idle(kind, binary, images, folder, seconds):
    """Resident MiB beyond the guest's RAM, and the percentage of a core, without a viewer."""
    with Machine(kind, binary, images["echo"], folder) as machine:
        viewer = machine.viewer()
        viewer.request(incremental=False)
        viewer.update()
        wait_for(viewer, key_screen)
        viewer.close()
        time.sleep(3)
        resident = machine.resident_beyond_guest_ram()
        before = machine.cpu_seconds()
        time.sleep(seconds)
        return resident, (machine.cpu_seconds() - before) / seconds * 100


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def measure(kind, binary, images, folder, quick):
    rows = {}
    starts = measure_start(kind, binary, images, folder, 1 if kind == "qemu" or quick else 9)
    for name, values in starts.items():
        rows[name] = ("ms", statistics.median(values))
    keys = measure_keys(kind, binary, images, folder, 15 if quick else 60)
    rows["key to changed pixel, median"] = ("ms", statistics.median(keys))
    rows["key to changed pixel, p99"] = ("ms", percentile(keys, 0.99))
    changes = measure_changes(kind, binary, images, folder, 4 if quick else 20)
    rows["guest's own change to pixel, median"] = ("ms", statistics.median(changes))
    resident, cpu = measure_idle(kind, binary, images, folder, 3 if quick else 15)
    rows["resident memory beyond guest RAM"] = ("MiB", resident)
    rows["CPU of an idle desktop, no viewer"] = ("% of a core", cpu)
    return rows


def measure_mixes(kind, binary, image, runs):
    """Millions of instructions a second of the processors in software, by mode and mix: both boot
    the same floppy disk, whose guest counts and times itself."""
    if kind == "porthole":
        command = [binary, "run", "--floppy", image, "--engine", "software", "--memory",
                   f"{MEMORY_MIB}M", "--vnc", "none", "--serial", "stdio", "--debug-exit",
                   "--name", f"bench-{os.getpid()}"]
    else:
        command = [binary, "-accel", "tcg", "-m", str(MEMORY_MIB), "-display", "none", "-nodefaults",
                   "-serial", "stdio", "-vga", "std", "-drive", f"file={image},format=raw,if=floppy",
                   "-device", "isa-debug-exit,iobase=0xf4", "-no-reboot"]
    values = {}
    for _ in range(runs):
        output = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=120).stdout
        lines = [line.split() for line in output.splitlines()]
        if ["done"] not in lines:
            raise RuntimeError(f"{kind}: the instruction mixes did not end: {output!r}")
        for line in lines:
            if len(line) == 3 and line[0] in MODES and line[1] in MIXES:
                values.setdefault((line[0], line[1]), []).append(float(line[2]))
    return {f"{MODES[mode]}, {mix} mix": ("M insn/s", statistics.median(values[mode, mix]))
            for mode in MODES for mix in MIXES}


LATENCIES = {"message-awake": "interrupt to a processor that runs",
             "message-asleep": "interrupt to a processor that sleeps",
             "timer": "interrupt of the local APIC's timer, beyond its time"}


def latency_rows(binary, image):
    """Microseconds that interrupts take, by engine and interrupt controllers: the median of 200, as
    the guest itself measures them."""
    places = [("software", "user"), ("hybrid", "user"), ("kvm", "split"), ("kvm", "user"),
              ("kvm", "kernel")]
    rows = []
    for engine, irqchip in places if os.access("/dev/kvm", os.R_OK | os.W_OK) else places[:1]:
        output = subprocess.run(
            [binary, "run", "--floppy", image, "--engine", engine, "--irqchip", irqchip, "--cpus", "2",
             "--vnc", "none", "--serial", "stdio", "--debug-exit", "--name", f"bench-{os.getpid()}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120).stdout
        found = {line.split()[0]: line.split()[1:] for line in output.splitlines() if line.strip()}
        if "done" not in found:
            raise RuntimeError(f"{engine} {irqchip}: the latencies did not end: {output!r}")
        rows += [{"row": f"{text}, {engine} {irqchip}", "unit": "us",
                  "porthole": int(found[name][0]) / 1000, "qemu": None}
                 for name, text in LATENCIES.items()]
    return rows


BUILDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../Tests/EndToEnd/media/build.py")


def medium(name):
    """A boot medium of the end-to-end tests, made where it is not there yet; None, and a line that
    says why, where it can't be."""
    result = subprocess.run([sys.executable, BUILDER, name], capture_output=True, text=True)
    if result.returncode:
        print(f"no Linux kernel is timed: {result.stdout.strip()}")
        return None
    return result.stdout.split(":")[0]


def best_engine(porthole):
    """The engine that desktops get on this host."""
    result = subprocess.run([porthole, "doctor", "--json"], capture_output=True, timeout=60)
    return json.loads(result.stdout)["engine"]


def read_until(process, mark, output, deadline):
    """Adds what the process prints to `output` until `mark` stands in it."""
    while mark not in output:
        wait = deadline - time.monotonic()
        ready = wait > 0 and select.select([process.stdout], [], [], wait)[0]
        piece = os.read(process.stdout.fileno(), 4096) if ready else b""
        if not piece:
            process.kill()
            raise RuntimeError(f"{mark!r} did not come: {output[-500:]!r}")
        output += piece
    return output


def measure_boot(kind, binary, kernel, initrd, runs, engine="software"):
    """Seconds from process start to the first program of a Linux kernel that is booted straight, and
    to its shell's prompt."""
    common = ["--kernel", kernel, "--initrd", initrd, "--append", "console=ttyS0"]
    if kind == "porthole":
        command = [binary, "run", "--engine", engine, "--memory", "256M", "--vnc", "none",
                   "--serial", "stdio", "--name", f"bench-{os.getpid()}", *common]
    else:
        command = [binary, "-accel", "tcg", "-m", "256", "-display", "none", "-nodefaults",
                   "-serial", "stdio", "-no-reboot", *(word.replace("--", "-") for word in common)]
    to_init, to_prompt = [], []
    for _ in range(runs):
        started = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        output = read_until(process, b"Run /init as init process", b"", started + 120)
        to_init.append(time.monotonic() - started)
        read_until(process, b"guest# ", output, started + 120)
        to_prompt.append(time.monotonic() - started)
        process.terminate()
        process.wait(10)
    return statistics.median(to_init), statistics.median(to_prompt)


def boot_rows(porthole, qemu, kernel, initrd, runs):
    """What starting a kernel takes: in software beside QEMU's, and by this host's best engine."""
    init, prompt = "start of a Linux kernel to its init", "start of a Linux kernel to its prompt"
    ours, theirs = {}, {}
    times = measure_boot("porthole", porthole, kernel, initrd, runs)
    ours[init], ours[prompt] = ("s", times[0]), ("s", times[1])
    engine = best_engine(porthole)
    if engine != "software":
        times = measure_boot("porthole", porthole, kernel, initrd, runs, engine)
        ours[f"{prompt}, {engine}"] = ("s", times[1])
    if qemu:
        times = measure_boot("qemu", qemu, kernel, initrd, runs)
        theirs = {row: ("s", times[0] if row == init else times[1]) for row in ours}
    return ours, theirs


def cycles_per_second():
    """The frequency of the host's time-stamp counter, which both show to the guest."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    # rdtsc; shl rdx, 32; or rax, rdx; ret
    code.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))
    counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    start, begin = time.monotonic(), counter()
    time.sleep(0.5)
    return (counter() - begin) / (time.monotonic() - start)


DISK_MIB = 8


def measure_disk(kind, binary, image, folder, runs, format="raw"):
    """MiB a second that a real-mode guest reads from an IDE disk, by PIO and by DMA, requests a
    second of 4 KiB by DMA, and what the processors do for a GiB of those."""
    disk = os.path.join(folder, f"disk.{format}")
    with open(disk, "wb") as file:
        file.write(os.urandom(DISK_MIB << 20))
    if format != "raw":
        subprocess.run(["qemu-img", "convert", "-O", format, disk, disk + ".new"], check=True)
        os.rename(disk + ".new", disk)
    if kind == "porthole":
        command = [binary, "run", "--floppy", image, "--disk", disk, "--boot", "floppy", "--engine",
                   "software", "--vnc", "none", "--serial", "stdio", "--debug-exit",
                   "--name", f"bench-{os.getpid()}"]
    else:
        command = [binary, "-accel", "tcg", "-m", str(MEMORY_MIB), "-display", "none", "-nodefaults",
                   "-serial", "stdio", "-vga", "std", "-boot", "a", "-no-reboot",
                   "-drive", f"file={image},format=raw,if=floppy",
                   "-drive", f"file={disk},format={format},if=ide",
                   "-device", "isa-debug-exit,iobase=0xf4"]
    names = {"read": "4 KiB reads in order", "scattered": "4 KiB reads scattered",
             "write": "4 KiB writes in order", "strewn": "4 KiB writes scattered"}
    seconds, processor = told_seconds(command, ("pio", "dma", *names), runs)
    small = {f"IDE disk, {name}, {format}": ("1000/s", DISK_MIB * 256 / seconds[key] / 1000)
             for key, name in names.items()}
    small |= {f"IDE disk, processor for {name}, {format}": ("s/GiB", processor[key] * 1024 / DISK_MIB)
              for key, name in names.items()}
    if format != "raw":
        return small
    return {"IDE disk, read by PIO": ("MiB/s", DISK_MIB / seconds["pio"]),
            "IDE disk, read by DMA": ("MiB/s", DISK_MIB / seconds["dma"])} | small


def disk_rows(kind, binary, image, folder, runs):
    """What a guest's disk does, on both formats where qemu-img makes them."""
    rows = measure_disk(kind, binary, image, folder, runs)
    if shutil.which("qemu-img"):
        rows |= measure_disk(kind, binary, image, folder, runs, "qcow2")
    return rows


def told_seconds(command, names, runs):
    """Seconds, the median of each, that a guest tells on its serial port as `NAME: CYCLES` before it
    says `done`, and the processor's seconds that its machine had in that time."""
    frequency = cycles_per_second()
    values, burnt = {name: [] for name in names}, {name: [] for name in names}
    for _ in range(runs):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        before = 0
        for line in iter(process.stdout.readline, b""):
            now = processor_seconds(process.pid)
            name, _, cycles = line.decode(errors="replace").strip().partition(": ")
            if name in values:
                values[name].append(int(cycles, 16) / frequency)
                burnt[name].append(now - before)
            before = now
            if b"done" in line:
                break
        watchdog.cancel()
        process.kill()
        process.wait(10)
    return tuple({name: statistics.median(found[name]) for name in names}
                 for found in (values, burnt))


def processor_seconds(pid):
    """What a process has had of the processors, also one that has ended and was not waited for."""
    # CLOCK_PROCESS_CPUTIME_ID of another process, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime(~pid << 3 | 2)


# What Guests/vgabench.S fills and scrolls: screens of four planes.
VGA_SCREENS = 16
VGA_MIB = VGA_SCREENS * 4 * 38_400 / (1 << 20)


def measure_vga(kind, binary, image, runs):
    """MiB a second, all planes counted, that a real-mode guest fills and scrolls in the planar mode
    of 640x480 pixels."""
    if kind == "porthole":
        command = [binary, "run", "--floppy", image, "--engine", "software", "--vnc", "none",
                   "--serial", "stdio", "--debug-exit", "--name", f"bench-{os.getpid()}"]
    else:
        command = [binary, "-accel", "tcg", "-m", str(MEMORY_MIB), "-display", "none", "-nodefaults",
                   "-serial", "stdio", "-vga", "std", "-no-reboot",
                   "-drive", f"file={image},format=raw,if=floppy",
                   "-device", "isa-debug-exit,iobase=0xf4"]
    seconds, _ = told_seconds(command, ("fill", "scroll"), runs)
    return {"planar VGA, filled": ("MiB/s", VGA_MIB / seconds["fill"]),
            "planar VGA, scrolled": ("MiB/s", VGA_MIB * 464 / 480 / seconds["scroll"])}


def exit_rows(program):
    """Rows that the exit benchmark measures inside one process: name, unit, value."""
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def write_images(porthole, folder):
    images = {}
    for name in ("firstlight", "echo", "pulse", "mixes", "diskbench", "latency", "vgabench",
                 "motion"):
        images[name] = os.path.join(folder, f"{name}.img")
        subprocess.run([porthole, "guest", name, "--write", images[name]], check=True)
    # QEMU tells a diskette by its size.
    for name in ("mixes", "diskbench", "vgabench", "motion"):
        os.truncate(images[name], 1440 * 1024)
    return images


def print_table(rows):
    header = ("row", "unit", "porthole", "QEMU", "porthole / QEMU")
    cells = [header] + [
        (row["row"], row["unit"], f"{row['porthole']:.2f}",
         "-" if row["qemu"] is None else f"{row['qemu']:.2f}",
         "-" if not row["qemu"] else f"{row['porthole'] / row['qemu']:.3f}") for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    for index, line in enumerate(cells):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if index == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--porthole", required=True, help="the porthole binary")
    parser.add_argument("--exits", help="the exit benchmark's binary")
    parser.add_argument("--watcher", help="the measuring viewer's binary")
    parser.add_argument("--only-display", action="store_true", help="nothing but the pictures' rows")
    parser.add_argument("--only-desktops", action="store_true",
                        help="nothing but the rows about desktops with names")
    parser.add_argument("--only-disks", action="store_true",
                        help="nothing but the rows about disks and their images")
    parser.add_argument("--kernel",
                        help="a 64-bit Linux kernel, booted in software (Debian's cloud kernel)")
    parser.add_argument("--initrd",
                        help="an initramfs with an init for it (the end-to-end tests')")
    parser.add_argument("--alone", action="store_true", help="without QEMU")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    arguments = parser.parse_args()
    qemu = None if arguments.alone else shutil.which("qemu-system-x86_64")
    if not qemu and not arguments.alone:
        print("QEMU is not installed (Debian: apt-get install qemu-system-x86); its column is empty")
    with tempfile.TemporaryDirectory(prefix="porthole-bench-") as folder:
        images = write_images(arguments.porthole, folder)
        if arguments.only_display:
            return report(*(display_rows(kind, binary, images, folder, arguments)
                            for kind, binary in (("porthole", arguments.porthole), ("qemu", qemu))),
                          [])
        if arguments.only_desktops:
            return report(measure_desktops(arguments.porthole, images, arguments.quick), {}, [])
        if arguments.only_disks:
            ours, theirs = measure_disk_images(arguments.porthole, folder, arguments.quick)
            for kind, binary, rows in (("porthole", arguments.porthole, ours),
                                       ("qemu", qemu, theirs)):
                if binary:
                    rows |= disk_rows(kind, binary, images["diskbench"], folder, 3)
            return report(ours, theirs, [])
        ours = measure("porthole", arguments.porthole, images, folder, arguments.quick)
        theirs = measure("qemu", qemu, images, folder, arguments.quick) if qemu else {}
        ours |= display_rows("porthole", arguments.porthole, images, folder, arguments)
        theirs |= display_rows("qemu", qemu, images, folder, arguments)
        runs = 1 if arguments.quick else 3
        ours |= measure_mixes("porthole", arguments.porthole, images["mixes"], runs)
        if qemu:
            theirs |= measure_mixes("qemu", qemu, images["mixes"], runs)
        kernel = arguments.kernel or medium("vmlinuz-cloud-amd64")
        initrd = arguments.initrd or medium("initramfs-amd64.cpio")
        if kernel and initrd:
            boots = boot_rows(arguments.porthole, qemu, kernel, initrd, runs)
            ours |= boots[0]
            theirs |= boots[1]
        for kind, binary, rows in (("porthole", arguments.porthole, ours), ("qemu", qemu, theirs)):
            if binary:
                rows |= disk_rows(kind, binary, images["diskbench"], folder, runs)
                rows |= measure_vga(kind, binary, images["vgabench"], runs)
        if shutil.which("qemu-img"):
            for rows, found in zip((ours, theirs), measure_disk_images(
                    arguments.porthole, folder, arguments.quick)):
                rows |= found
        ours |= measure_desktops(arguments.porthole, images, arguments.quick)
        latencies = latency_rows(arguments.porthole, images["latency"])
    if arguments.exits:
        latencies += [{"row": row["row"], "unit": row["unit"], "porthole": row["value"],
                       "qemu": None} for row in exit_rows(arguments.exits)]
    return report(ours, theirs, latencies)


def display_rows(kind, binary, images, folder, arguments):
    """The rows about pictures; none without the machine or the viewer."""
    if not binary or not arguments.watcher:
        return {}
    machine = Machine(kind, binary, images["motion"], folder)
    rows = measure_display(machine, arguments.watcher, arguments.quick, folder)
    if kind == "porthole":
        rows |= large_screenshot(binary, runtime_folder(), folder)
    return rows


def report(ours, theirs, others):
    """Prints the table of what both do, and of `others`, which are rows already; keeps it if asked."""
    rows = [{"row": name, "unit": unit, "porthole": value,
             "qemu": theirs[name][1] if name in theirs else None}
            for name, (unit, value) in ours.items()]
    rows += others
    print(f"{datetime.date.today()}, {os.cpu_count()} cores, Linux {platform.release()}")
    print_table(rows)
    if os.environ.get("BENCH_JSON"):
        with open(os.environ["BENCH_JSON"], "w") as file:
            json.dump(rows, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
