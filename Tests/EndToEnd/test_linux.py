"""Debian's stock kernels, unpatched, booted straight with a BusyBox that gives two shells: one on the
serial port, one at the screen and the keyboard.
"""

import contextlib
import os
import re
import socket
import threading
import time

import pytest

from desktop import until
from rfb import RFB

# Flavour, architecture of its BusyBox, what uname calls the machine, a flag that its processor has.
KERNELS = [("cloud-amd64", "amd64", "x86_64", "lm"), ("686", "i386", "i686", "cmov"),
           ("686-pae", "i386", "i686", "pae")]
# Every kernel in software; the 64-bit one also where KVM runs its user code.
BOOTS = [("software", *kernel) for kernel in KERNELS] + [("hybrid", *KERNELS[0])]
# The self-tests of the kernel's ciphers take longer than all of the rest.
COMMAND_LINE = "console=tty0 console=ttyS0 cryptomgr.notests"
READY = r"Porthole guest ready"
PROMPT = r"guest# (\x1b\[6n)?$"
# What no kernel says when all is well.
TROUBLE = re.compile(
    r"\bBUG\b|\bOops\b|Call Trace|WARNING: |Kernel panic|general protection|invalid opcode|segfault"
    r"|soft lockup|hung task|unhandled signal|nobody cared|stack segment|double fault")
# The processor's weaknesses are the host's own, and the kernel is to know them.
KNOWN = re.compile(r"Speculative Return Stack Overflow|Spectre|Meltdown|RETBleed|Vulnerab")


class Serial:
    """The far end of COM1's cable."""

    def __init__(self, path):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.connect(path)
        self.bytes = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while part := self.link.recv(4096):
                self.bytes += part

    @property
    def text(self):
        return self.bytes.decode(errors="replace").replace("\r", "")

    def wait(self, pattern, seconds, after=0):
        """Waits until `pattern` stands in what came after so many characters; the match."""
        try:
            return until(lambda: re.search(pattern, self.text[after:]), seconds, pattern, pause=0.1)
        except AssertionError as problem:
            raise AssertionError(f"{problem}; there is:\n{self.text[-3000:]}") from None

    def wait_shell(self, after=0):
        """Waits for a shell, and has the kernel say no more in between."""
        self.wait(READY + r"[\s\S]*guest# ", 200, after=after)
        # Lines that are longer than the terminal would be wrapped.
        self.link.sendall(b"stty cols 400; dmesg -n 1; echo qui''et\r")
        self.wait(r"\nquiet\nguest# ", 30, after=after)

    def command(self, line, seconds=60):
        """Has the shell run a line; what it printed."""
        start = len(self.text)
        self.link.sendall(line.encode() + b"\r")
        self.wait(r"\n.*" + PROMPT, seconds, after=start)
        # The shell's echo is the first line, the next prompt the last one.
        return "\n".join(self.text[start:].split("\n")[1:-1])


@pytest.fixture
def boot(desktops, media, folder):
    """Starts a kernel under an engine, and waits for its shell."""
    def start(flavour, architecture, engine, *arguments, append=COMMAND_LINE):
        path = os.path.join(folder, "com1")
        desktop = desktops(
            "--engine", engine, "--kernel", media(f"vmlinuz-{flavour}"),
            "--initrd", media(f"initramfs-{architecture}.cpio"), "--append", append,
            "--serial", f"socket:{path}", *arguments)
        serial = Serial(path)
        serial.wait_shell()
        return desktop, serial
    return start


@pytest.mark.limit(600)
@pytest.mark.parametrize("engine, flavour, architecture, machine, flag", BOOTS)
def test_stock_kernel_gives_shells_on_the_serial_port_and_at_the_screen(
        boot, keep, engine, flavour, architecture, machine, flag):
    desktop, serial = boot(flavour, architecture, engine)
    assert serial.command("uname -m") == machine
    release = serial.command("uname -r")
    assert release.endswith(flavour)
    processor_is_sane(serial, flag)
    memory_is_all_there(serial)
    log_is_clean(serial)
    clock_runs_with_the_host(serial)
    screen_answers(desktop, release, keep)
    # What was typed there shows here: it is one machine.
    assert serial.command("cat /tmp/typed") == "by porthole type\nby a viewer"
    reboots(serial)


def processor_is_sane(serial, flag):
    text = serial.command("cat /proc/cpuinfo")
    fields = dict(re.findall(r"(?m)^([\w ]+?)\s*: ?(.*)$", text))
    assert re.findall(r"(?m)^processor\s*: (\d+)$", text) == ["0"]
    flags = fields["flags"].split()
    assert {"fpu", "tsc", "cx8", "cmov", "mmx", "fxsr", "sse", "sse2", flag} <= set(flags)
    assert fields["fpu"] == "yes" and fields["wp"] == "yes"


def memory_is_all_there(serial):
    total = int(re.search(r"MemTotal: +(\d+) kB", serial.command("cat /proc/meminfo")).group(1))
    assert 64 * 1024 < total < 128 * 1024
    ranges = serial.command("grep 'System RAM' /proc/iomem").split("\n")
    assert [line.split(" : ")[0].strip() for line in ranges] == [
        "00001000-0009fbff", "00100000-07ffffff"]


def log_is_clean(serial):
    lines = serial.command("dmesg").split("\n")
    assert len(lines) > 100
    bad = [line for line in lines if TROUBLE.search(line) and not KNOWN.search(line)]
    assert not bad, "\n".join(bad)


def clock_runs_with_the_host(serial):
    """The guest's calendar is the host's, and its uptime goes on as fast as the host's clock."""
    assert abs(int(serial.command("date +%s")) - time.time()) < 30
    before, start = float(serial.command("cut -d' ' -f1 /proc/uptime")), time.monotonic()
    serial.command("sleep 4")
    after, end = float(serial.command("cut -d' ' -f1 /proc/uptime")), time.monotonic()
    assert after - before >= 4
    assert abs((after - before) - (end - start)) < 0.5 + (end - start) / 10


def screen_answers(desktop, release, keep):
    desktop.wait_text(READY, 10)
    desktop.type("uname -r; echo by porthole type > /tmp/typed\n")
    desktop.wait_text(rf"(?m)^{re.escape(release)} *$", 30)
    with RFB(desktop.host, desktop.port, desktop.password) as viewer:
        for character in "echo $((6*7)); echo by a viewer >> /tmp/typed":
            viewer.tap(ord(character))
        viewer.tap(0xFF0D)
        desktop.wait_text(r"(?m)^42 *$", 30)
        shown = viewer.settle(seconds=1)
        os.makedirs(os.path.dirname(keep), exist_ok=True)
        shown.save(keep + ".png")
    picture = desktop.picture()
    assert picture.size == (720, 400)
    assert len(picture.getcolors()) > 1


def reboots(serial):
    start = len(serial.text)
    serial.link.sendall(b"reboot -f\r")
    serial.wait_shell(after=start)
    assert serial.command("cat /tmp/typed 2>&1").endswith("No such file or directory")


@pytest.mark.without_kvm
@pytest.mark.limit(300)
def test_kernel_sees_the_processor_that_was_asked_for(boot):
    _, serial = boot("cloud-amd64", "amd64", "software", "--cpu", "x86-64-v2,+aes")
    flags = serial.command("grep -m 1 ^flags /proc/cpuinfo").split()
    assert {"lm", "sse4_2", "popcnt", "cx16", "aes", "x2apic"} <= set(flags)
    assert not {"avx", "avx2", "xsave", "bmi1", "rdrand", "sha_ni"} & set(flags)


@pytest.mark.without_kvm
@pytest.mark.limit(300)
@pytest.mark.parametrize("engine", ["software", "hybrid"])
def test_poweroff_ends_the_kernel(boot, engine):
    desktop, serial = boot("cloud-amd64", "amd64", engine)
    serial.link.sendall(b"poweroff -f\r")
    # The kernel turns the switch that ACPI told it of.
    serial.wait(r"reboot: Power down", 60)
    assert desktop.ended(30) == 0


@pytest.mark.without_kvm
def test_kernels_that_cannot_boot_are_refused_with_a_sentence(porthole, media, folder):
    kernel = media("vmlinuz-cloud-amd64")

    def refused(*arguments, **options):
        return porthole.refused(
            "run", "--engine", "software", "--vnc", "none", *arguments, **options)

    assert refused("--kernel", "/nowhere") == "cannot read /nowhere: no such file or directory"
    empty = os.path.join(folder, "empty")
    with open(empty, "wb"):
        pass
    assert refused("--kernel", empty) == (
        f"cannot boot {empty}: it is no kernel: neither a bzImage, an ELF file that can be loaded, nor Multiboot")
    cut = os.path.join(folder, "cut")
    with open(kernel, "rb") as source, open(cut, "wb") as target:
        target.write(source.read(1 << 20))
    assert refused("--kernel", cut) == (
        f"cannot boot {cut}: it ends before the kernel does: the file is cut off")
    assert re.fullmatch(
        rf"cannot boot {kernel}: it needs at least \d+ MiB of memory: give the desktop more",
        refused("--kernel", kernel, "--memory", "32M"))
    assert "command line has 3000 bytes" in refused("--kernel", kernel, "--append", "x" * 3000)
    assert refused("--initrd", empty, status=64) == "--initrd goes with --kernel, which is missing"
    assert refused("--append", "x", status=64) == "--append goes with --kernel, which is missing"
    assert refused("--kernel", kernel, "--guest", "demo", status=64) == (
        "--guest and --kernel exclude each other: only one of them boots")
