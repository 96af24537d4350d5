"""Debian's stock kernels with the modules of their own package: what their drivers make of the PC's
disks, screen, keyboard, mouse and clocks.
"""

import hashlib
import os
import re
import struct
import time

import pytest

from conftest import FULL
from desktop import until
from rfb import RFB
from test_linux import COMMAND_LINE, KNOWN, TROUBLE, Serial

# Flavour, and the engine; None is the host's best.
MACHINES = [("amd64", None), ("amd64", "software"), ("686", "software"), ("686-pae", "software")]
DISK, FLOPPY = 8 << 20, 1440 << 10
# A driver that is not content with its device says so in one of these words.
COMPLAINT = re.compile(
    r"error|timed? ?out|timeout|lost interrupt|unstable|fail|unable|conflict|\binvalid\b|firmware bug"
    r"|spurious|exception|frozen|not responding|can't|cannot", re.I)
# On a busy host no calibration goes undisturbed; it is tried again later. The others are about the
# processor.
HARMLESS = re.compile(
    r"tsc: (Fast TSC calibration failed|Unable to calibrate against PIT)|PM-Timer running at invalid"
    r"|SRSO|Speculative|non-PAE")
# Of Linux' input-event-codes.h.
EV_KEY, EV_REL, EV_ABS, KEY_A, BTN_LEFT = 1, 2, 3, 30, 0x110


def only_in_full(flavour, engine):
    if engine and not FULL:
        pytest.skip(f"{flavour} in software too, with PORTHOLE_FULL=1")


def random_file(folder, name, size):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(os.urandom(size))
    return path


def md5(path, start=0, count=None):
    with open(path, "rb") as file:
        file.seek(start)
        return hashlib.md5(file.read(count)).hexdigest()


@pytest.fixture
def machine(desktops, media, folder):
    """Boots a flavour with two processors and something in every drive; the desktop and its serial
    line, with a shell."""
    def start(flavour, engine):
        kernel = media(f"linux-{flavour}")
        drives = ["--disk", random_file(folder, "disk.img", DISK), "--floppy",
                  random_file(folder, "floppy.img", FLOPPY), "--cdrom", media("grub-cd.iso")]
        path = os.path.join(folder, "com1")
        desktop = desktops(
            *(["--engine", engine] if engine else []), "--cpus", "2", "--memory", "256M",
            "--kernel", os.path.join(kernel, "vmlinuz"), "--initrd",
            os.path.join(kernel, "initramfs.cpio"), "--append", COMMAND_LINE, "--serial",
            f"socket:{path}", *drives)
        serial = Serial(path)
        serial.wait_shell()
        return desktop, serial
    return start


@pytest.mark.without_kvm
@pytest.mark.limit(400)
@pytest.mark.parametrize("flavour, engine", MACHINES)
def test_stock_drivers_are_content_with_every_device(machine, media, folder, keep, flavour, engine):
    only_in_full(flavour, engine)
    desktop, serial = machine(flavour, engine)
    assert "no module" not in serial.text
    assert serial.command("nproc") == "2"
    written = disk_works_by_dma(serial, folder)
    cd_works_by_dma(serial, media("grub-cd.iso"))
    floppy_reads(serial, folder)
    screen_is_a_frame_buffer(desktop, serial, keep)
    keyboard_and_mouse_are_heard(desktop, serial)
    clocks_are_there(serial)
    log_has_no_complaints(serial)
    serial.link.sendall(b"sync; poweroff -f\r")
    assert desktop.ended(30) == 0
    assert md5(os.path.join(folder, "disk.img"), 1 << 20, 1 << 20) == written


def disk_works_by_dma(serial, folder):
    path = os.path.join(folder, "disk.img")
    assert serial.command("cat /sys/class/ata_device/dev1.0/dma_mode").split("_DMA")[0] in (
        "XFER_MW", "XFER_U")
    assert serial.command("cat /sys/block/sda/size") == str(DISK // 512)
    assert serial.command("md5sum < /dev/sda").split()[0] == md5(path)
    # The guest writes a program of its own.
    written = serial.command("head -c 1048576 /bin/busybox | tee /tmp/part | md5sum").split()[0]
    serial.command("dd if=/tmp/part of=/dev/sda bs=64k seek=16 conv=fsync")
    assert serial.command(
        "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/sda bs=64k skip=16 count=16 2> /dev/null"
        " | md5sum").split()[0] == written
    trimmed_sectors_go_back_to_the_host(serial, path)
    return written


def trimmed_sectors_go_back_to_the_host(serial, path):
    assert int(serial.command("cat /sys/block/sda/queue/discard_max_bytes")) > 0
    before = os.stat(path).st_blocks
    serial.command("blkdiscard -o 2097152 -l 1048576 /dev/sda")
    assert os.stat(path).st_blocks == before - 2048
    with open(path, "rb") as file:
        file.seek(2 << 20)
        assert file.read(1 << 20) == bytes(1 << 20)
    assert serial.command("dd if=/dev/sda bs=1M skip=2 count=1 2> /dev/null | tr -d '\\0' | wc -c") == "0"


def cd_works_by_dma(serial, image):
    assert "DMA" in serial.command("cat /sys/class/ata_device/dev2.0/dma_mode")
    assert "linux" in serial.command("mount -t iso9660 /dev/sr0 /mnt; ls /mnt/boot/grub/i386-pc")
    assert "Porthole: say hello" in serial.command("cat /mnt/boot/grub/grub.cfg")
    serial.command("umount /mnt")
    assert serial.command("md5sum < /dev/sr0").split()[0] == md5(image)


def floppy_reads(serial, folder):
    count = 10 * 36 * 512
    text = serial.command(f"head -c {count} /dev/fd0 | md5sum")
    assert text.split()[0] == md5(os.path.join(folder, "floppy.img"), 0, count)


def screen_is_a_frame_buffer(desktop, serial, keep):
    assert "bochs" in serial.command("cat /sys/class/graphics/fb0/name")
    size = serial.command("cat /sys/class/graphics/fb0/virtual_size").split(",")
    picture = desktop.picture()
    assert picture.size == (int(size[0]), int(size[1])) and picture.size >= (1024, 768)
    # The console's grey on black, and the cursor's blinking.
    assert picture.getpixel((picture.width - 1, picture.height - 1)) == (0, 0, 0)
    assert any(pixel == (170, 170, 170) for _, pixel in picture.getcolors(1 << 16))
    desktop.type("echo at the screen > /tmp/typed\n")
    until(lambda: "at the screen" in serial.command("cat /tmp/typed"), 20, "what was typed")
    os.makedirs(os.path.dirname(keep), exist_ok=True)
    desktop.picture().save(keep + ".png")


def events(serial, number):
    """What an input device told: (type, code, value) each."""
    # The length of a kernel's time value is its word's.
    word = 8 if serial.command("uname -m") == "x86_64" else 4
    text = serial.command(f"od -v -An -tx1 < /tmp/event{number}")
    data = bytes.fromhex(text.replace("\n", " "))
    size = 2 * word + 8
    return [struct.unpack_from("<HHi", data, start + 2 * word)
            for start in range(0, len(data) - size + 1, size)]


def keyboard_and_mouse_are_heard(desktop, serial):
    count = int(serial.command("ls -d /sys/class/input/event* | wc -l"))
    serial.command(
        "(for i in /dev/input/event*; do timeout 8 cat $i > /tmp/${i##*/} & done); sleep 1")
    with RFB(desktop.host, desktop.port, desktop.password) as viewer:
        viewer.tap(ord("a"))
        for step in range(5):
            viewer.pointer(300 + 20 * step, 300 + 10 * step)
            time.sleep(0.05)
        viewer.pointer(380, 340, buttons=1)
        time.sleep(0.2)
        viewer.pointer(380, 340)
        time.sleep(1)
    heard = [event for number in range(count) for event in events(serial, number)]
    assert [value for kind, code, value in heard if (kind, code) == (EV_KEY, KEY_A)] == [1, 0]
    assert [value for kind, code, value in heard if (kind, code) == (EV_KEY, BTN_LEFT)] == [1, 0]
    assert any(kind in (EV_REL, EV_ABS) for kind, _, _ in heard)
    # The shell at the screen has the letter, too.
    desktop.key("backspace")


def clocks_are_there(serial):
    sources = serial.command("cat /sys/devices/system/clocksource/clocksource0/available_clocksource")
    assert {"tsc", "hpet"} <= set(sources.split())
    # A 32-bit kernel gives up the third where a busy host disturbs its comparison with the 8254.
    assert "acpi_pm" in sources or serial.command("uname -m") == "i686"
    assert "0.000000 seconds" in serial.command("hwclock -u -r")
    now = int(serial.command("cat /sys/class/rtc/rtc0/since_epoch"))
    assert abs(now - time.time()) < 5
    assert abs(int(serial.command("date +%s")) - time.time()) < 5
    # The alarm, which systems that have an HPET hear of through ACPI.
    serial.command("echo +2 > /sys/class/rtc/rtc0/wakealarm; sleep 3.2")
    assert serial.command("cat /sys/class/rtc/rtc0/wakealarm") == ""
    for source in sources.split():
        serial.command(
            f"echo {source} > /sys/devices/system/clocksource/clocksource0/current_clocksource")
        start = time.monotonic()
        before = float(serial.command("cut -d' ' -f1 /proc/uptime"))
        serial.command("sleep 0.5")
        after = float(serial.command("cut -d' ' -f1 /proc/uptime"))
        assert 0.5 <= after - before < time.monotonic() - start + 0.05, source


def log_has_no_complaints(serial):
    lines = serial.command("dmesg").split("\n")
    assert len(lines) > 100
    bad = [line for line in lines
           if (COMPLAINT.search(line) and not HARMLESS.search(line))
           or (TROUBLE.search(line) and not KNOWN.search(line))]
    assert not bad, "\n".join(bad)
    log = "\n".join(lines)
    assert "ACPI: Interpreter enabled" in log and "smp: Brought up 1 node, 2 CPUs" in log


def vmware_pointer_is_where_the_viewers_is(desktop, serial, device):
    """While nobody reads the tablet."""
    serial.command(f"(timeout 3 cat /dev/input/event{device} > /tmp/event{device} &); sleep 1")
    width, height = desktop.picture().size
    with RFB(desktop.host, desktop.port, desktop.password) as viewer:
        for x, y, buttons in [(width // 3, height // 2, 0), (width - 1, 7, 0), (width - 1, 7, 1),
                              (width - 1, 7, 0), (width - 1, 7, 1), (width - 1, 7, 0)]:
            viewer.pointer(x, y, buttons)
            time.sleep(0.05 if buttons else 0.1)
    serial.command("sleep 2")
    heard = events(serial, device)
    assert [value for kind, code, value in heard if (kind, code) == (EV_ABS, 0)] == [
        width // 3 * 65535 // (width - 1), 65535]
    assert [value for kind, code, value in heard if (kind, code) == (EV_ABS, 1)] == [
        height // 2 * 65535 // (height - 1), 7 * 65535 // (height - 1)]
    assert [value for kind, code, value in heard if (kind, code) == (EV_KEY, BTN_LEFT)] == [
        1, 0, 1, 0]


@pytest.mark.without_kvm
@pytest.mark.limit(300)
def test_stock_kernel_has_the_pointer_where_the_viewer_has_it_and_hears_the_power_button(machine):
    desktop, serial = machine("amd64", None)

    def number(name):
        path = serial.command(f"grep -l '{name}' /sys/class/input/event*/device/name")
        return int(re.search(r"event(\d+)/", path).group(1))

    def interrupts():
        return re.search(r"(?m)^.*xhci_hcd.*$", serial.command("cat /proc/interrupts")).group()

    vmware_pointer_is_where_the_viewers_is(desktop, serial, number("VMMouse"))
    tablet = number("Porthole Tablet")
    assert "MSI" in interrupts()
    serial.command(f"(timeout 8 cat /dev/input/event{tablet} > /tmp/event{tablet} &); sleep 1")
    still = interrupts()
    width, height = desktop.picture().size
    places = [(0, 0), (width - 1, height - 1), (width // 3, height // 2)]
    with RFB(desktop.host, desktop.port, desktop.password) as viewer:
        for x, y in places:
            viewer.pointer(x, y)
            time.sleep(0.2)
        viewer.pointer(*places[-1], buttons=1)
        time.sleep(0.2)
        viewer.pointer(*places[-1])
        time.sleep(0.5)
        assert interrupts() != still
        still = interrupts()
        time.sleep(1)
        assert interrupts() == still
    serial.command("sleep 6")
    heard = events(serial, tablet)
    # A value that stays the same is not told again: the first place is where the tablet begins.
    for axis, wanted in ((0, [x * 32767 // (width - 1) for x, _ in places]),
                         (1, [y * 32767 // (height - 1) for _, y in places])):
        assert [value for kind, code, value in heard if (kind, code) == (EV_ABS, axis)] in (
            wanted, wanted[1:])
    assert [value for kind, code, value in heard if (kind, code) == (EV_KEY, BTN_LEFT)] == [1, 0]

    button = number("Power Button")
    serial.command(f"(head -c 24 /dev/input/event{button} > /dev/null; poweroff -f) & sleep 1")
    desktop.run("powerdown", timeout=40)
    assert desktop.ended(30) == 0


# ---- A disk that boots by itself -----------------------------------------------------------------


@pytest.mark.without_kvm
@pytest.mark.limit(400)
@pytest.mark.parametrize("firmware, engine", [("builtin", None), ("seabios", "software")])
def test_disk_of_debians_packages_boots_by_itself_and_keeps_what_is_written(
        desktops, media, folder, firmware, engine):
    only_in_full(firmware, engine)
    image = os.path.join(folder, "disk.img")
    with open(media("linux-disk.img"), "rb") as source, open(image, "wb") as target:
        target.write(source.read())
    options = ["--firmware", firmware, "--memory", "256M", "--disk", image]
    options += ["--engine", engine] if engine else []
    for start in (1, 2):
        path = os.path.join(folder, f"com1-{start}")
        desktop = desktops(*options, "--serial", f"socket:{path}")
        serial = Serial(path)
        serial.wait_shell()
        assert "/dev/sda1 on / type ext4 (rw" in serial.command("mount")
        kept = serial.command("cat /kept 2>&1")
        assert kept == "cat: can't open '/kept': No such file or directory" if start == 1 else "one"
        serial.command("echo one > /kept; mount -o remount,ro /")
        bad = [line for line in serial.command("dmesg").split("\n") if TROUBLE.search(line)
               and not KNOWN.search(line) or re.search(r"EXT4-fs error|ata\d.*(error|timeout)", line)]
        assert not bad, "\n".join(bad)
        serial.link.sendall(b"poweroff -f\r")
        assert desktop.ended(30) == 0
