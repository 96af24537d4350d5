"""Boot media that nobody here made: each boots, shows what it should and takes keys.

Each runs under the software engine, and under this host's KVM. A host whose KVM is itself emulated
may lack instructions that they need: there the second run counts as expected to fail, once the
desktop has come far enough and stopped with the message that says so.
"""

import contextlib

import re
import time

import pytest

from conftest import FULL
from desktop import as_far_as_the_host_can, differing, until
from rfb import RFB

REAL, PROTECTED = "16-bit real mode", "32-bit protected mode"


ENGINES = pytest.mark.parametrize("engine", ["software", "kvm"])


def limits(engine, desktop, doctor, beyond, **options):
    """What may keep `desktop` from going on: nothing, under the software engine."""
    if engine == "software":
        return contextlib.nullcontext()
    return as_far_as_the_host_can(desktop, doctor, beyond=beyond, **options)


@pytest.fixture
def patience(doctor, engine):
    """How much longer things take here than on a host that runs real mode natively."""
    if engine == "software":
        return 5
    emulated = any("emulated by the host's kernel" in entry["meaning"] for entry in doctor)
    return 60 if emulated else 1


# ---- The boot record of Debian's package mbr ----


def test_mbr_boot_record_asks_and_boots_the_partition_that_a_viewer_chooses(desktops, media):
    desktop = desktops("--disk", media("mbr-disk.img"), "--read-only")
    desktop.wait_text(r"^MBR 12FA:", 10)
    with RFB(desktop.host, desktop.port, desktop.password) as viewer:
        viewer.tap(ord("2"))
        desktop.wait_text(r"Porthole booted partition 2\. Press a key\.", 10)
        before = viewer.settle(seconds=2).copy()
        # The partition's boot sector waits for a key, then starts over with INT 19h.
        viewer.tap(ord(" "))
        desktop.wait_text(r"(?s)MBR 12FA:.*MBR 12FA:", 10)
        viewer.tap(ord("1"))
        desktop.wait_text(r"Porthole booted partition 1\. Press a key\.", 10)
        viewer.watch(lambda image: differing(image, before), 5, "the viewer sees the new text")


def test_mbr_boot_record_boots_the_active_partition_on_enter(desktops, media):
    desktop = desktops(media("mbr-disk.img"), "--read-only")
    desktop.wait_text(r"^MBR 12FA:", 10)
    desktop.key("enter")
    desktop.wait_text(r"Porthole booted partition 1\. Press a key\.", 10)


def test_mbr_boot_record_reads_an_a_as_advanced_and_a_bad_key_is_ignored(desktops, media):
    desktop = desktops(media("mbr-disk.img"), "--read-only")
    desktop.wait_text(r"^MBR 12FA:", 10)
    desktop.key("x")
    desktop.key("a")
    # "A" asks for the advanced prompt, which offers all partitions and the floppy.
    desktop.wait_text(r"MBR 1234F:", 10)


# ---- GRUB ----


@ENGINES
@pytest.mark.limit(420)
@pytest.mark.parametrize("medium, own", [("grub-disk.img", "hd0"), ("grub-cd.iso", "cd")])
def test_grub_menu_command_line_and_graphics(
        desktops, media, doctor, patience, engine, medium, own):
    desktop = desktops("--engine", engine, "--read-only", media(medium))
    with limits(engine, desktop, doctor, beyond=()):
        # The boot sector's and the loader's own words, before anything is unpacked.
        desktop.wait_text(r"GRUB loading|Welcome to GRUB", 20)
        if engine == "kvm" and patience > 1 and not FULL:
            pytest.skip(
                "GRUB loads; its unpacking takes minutes where real mode is emulated: "
                "set PORTHOLE_FULL=1 to wait for it")
        desktop.wait_text(r"\*Porthole: say hello", 4 * patience)
        with RFB(desktop.host, desktop.port, desktop.password) as viewer:
            grub(desktop, viewer, own, patience)


def grub(desktop, viewer, own, patience):
    """Menu, arrow keys, command line and graphics, with a viewer's keys."""
    down, up, escape, enter = 0xFF54, 0xFF52, 0xFF1B, 0xFF0D
    viewer.tap(down)
    desktop.wait_text(r"\*Porthole: graphics", 10)
    viewer.tap(down)
    desktop.wait_text(r"\*Porthole: restart", 10)
    viewer.tap(up)
    desktop.wait_text(r"\*Porthole: graphics", 10)
    viewer.tap(ord("c"))
    desktop.wait_text(r"(?m)^ *grub> *$", 10)
    for character in "ls":
        viewer.tap(ord(character))
    desktop.wait_text(r"grub> ls", 10)
    viewer.tap(enter)
    answer = desktop.wait_text(r"(?m)grub> ls *\n(.+)\n\s*grub> *$", 10)
    assert answer.group(1).split() == [f"({own})", f"({own},msdos1)"]
    viewer.tap(escape)
    desktop.wait_text(r"\*Porthole: ", 10)
    viewer.tap(up)
    viewer.tap(up)
    desktop.wait_text(r"\*Porthole: say hello", 10)
    viewer.tap(enter)
    desktop.wait_text(r"Hello from GRUB\.\s+Press a key\.", 10)
    viewer.tap(enter)
    desktop.wait_text(r"\*Porthole: say hello", 10)
    viewer.tap(down)
    desktop.wait_text(r"\*Porthole: graphics", 10)
    viewer.tap(enter)
    until(lambda: desktop.picture().size == (1024, 768), 2 * patience + 10, "1024x768", pause=0.5)
    # gfxterm draws the menu anew, in its own font.
    until(lambda: colours(desktop.picture()) > 1, 2 * patience + 10, "a picture", pause=0.5)
    shown = settled(desktop, 2 * patience + 10)
    viewer.settle()
    assert not differing(viewer.image, shown), "viewer and screenshot see the same graphics"
    viewer.tap(down)
    until(lambda: differing(desktop.picture(), shown), 2 * patience + 10, "the menu moves")


def colours(picture):
    return len(picture.getcolors(1 << 20) or range(1 << 20))


def settled(desktop, seconds):
    """The picture once it has not changed for a second."""
    end = time.monotonic() + seconds
    last = desktop.picture()
    while time.monotonic() < end:
        time.sleep(1)
        now = desktop.picture()
        if not differing(last, now):
            return now
        last = now
    raise AssertionError("the picture never came to rest")


# ---- memtest86+ ----


@ENGINES
@pytest.mark.limit(120)
@pytest.mark.parametrize("medium, beyond", [
    ("memtest-ia32.iso", (REAL,)), ("memtest-x64.iso", (REAL, PROTECTED))])
def test_memtest_tests_and_its_counters_go_up(desktops, media, doctor, engine, medium, beyond):
    desktop = desktops("--engine", engine, "--memory", "64M", media(medium)).watch()
    # The x64 one is in long mode before it does the first thing that a host may lack.
    with limits(engine, desktop, doctor, beyond=beyond):
        desktop.wait_text(r"Memtest86\+ v[0-9.]+", 60)
        first = desktop.wait_text(r"Time: +(\d+):(\d+):(\d+) +Status: Testing", 30)
        pattern = r"Time: +(\d+):(\d+):(\d+) +Status: Testing"
        until(
            lambda: seconds(re.search(pattern, desktop.glance())) >= seconds(first) + 2, 15,
            "the clock runs", pause=0.2)
        progress = desktop.wait_text(r"Test #(\d+)", 5).group(1)
        until(
            lambda: re.search(rf"Test #(?!{progress}\b)\d+", desktop.glance()), 60,
            "the next test begins", pause=0.2)
        assert re.search(r"Errors: 0\b", desktop.glance())
        assert re.search(r"Testing: .*of (6[0-4]|5\d)(\.\d)?MB", desktop.glance()), "it found its memory"
        desktop.key("f1")
        desktop.wait_text(r"(?i)settings|configuration|continue", 10)


@pytest.mark.limit(120)
@pytest.mark.parametrize("medium", ["memtest-ia32.iso", "memtest-x64.iso"])
def test_memtest_works_with_every_processor(desktops, media, medium):
    desktop = desktops(
        "--engine", "software", "--cpus", "4", "--memory", "64M", media(medium)).watch()
    desktop.wait_text(r"4 Threads +SMP: 4T \(PAR\)", 60)
    desktop.wait_text(r"Using: All Cores", 60)
    progress = desktop.wait_text(r"Test #(\d+)", 30).group(1)
    until(
        lambda: re.search(rf"Test #(?!{progress}\b)\d+", desktop.glance()), 60,
        "the next test begins", pause=0.2)
    assert re.search(r"Errors: 0\b", desktop.glance())


def seconds(match):
    if not match:
        return -1
    hours, minutes, rest = map(int, match.groups())
    return hours * 3600 + minutes * 60 + rest


# ---- syslinux ----


@ENGINES
@pytest.mark.limit(120)
@pytest.mark.parametrize("medium", ["syslinux-floppy.img", "syslinux-disk.img"])
def test_syslinux_menu_is_driven_by_keys(desktops, media, doctor, engine, medium):
    desktop = desktops("--engine", engine, "--read-only", media(medium)).watch()
    # Its loader reads the volume in real mode and says who it is before it enters its core.
    with limits(engine, desktop, doctor, beyond=(REAL,), shown=r"SYSLINUX \d"):
        desktop.wait_text(r"Porthole boot menu", 60)
        desktop.wait_text(r"Say hello[\s\S]*Show the memory map[\s\S]*Restart", 10)
        with RFB(desktop.host, desktop.port, desktop.password) as viewer:
            first = viewer.settle(seconds=2).copy()
            viewer.tap(0xFF54)
            viewer.watch(lambda image: differing(image, first), 10, "the bar moves")
            viewer.tap(0xFF52)
            time.sleep(0.5)
            viewer.tap(0xFF0D)
            desktop.wait_text(r"Hello from syslinux\.", 20)
            desktop.reset()
            desktop.wait_text(r"Press \[Tab\] to edit options\s*$", 60)
            viewer.tap(0xFF54)
            time.sleep(0.5)
            viewer.tap(0xFF0D)
            # The memory map as INT 15h gives it: the first range is usable and ends at 639 KiB.
            desktop.wait_text(r"INT 15h = f000:", 20)
            desktop.wait_text(r"(?m)^ +0 0+x 0+9fc00x 0+9fc00x 1 \[[-1]\] usable", 10)


def test_a_desktop_that_the_host_cannot_run_says_so_at_once(desktops, media, doctor):
    """Only where the host's KVM lacks instructions: memtest86+ is the shortest way to one."""
    if all(entry["present"] for entry in doctor):
        pytest.skip("this host's KVM runs everything")
    desktop = desktops("--engine", "kvm", media("memtest-ia32.iso"))
    assert desktop.ended(30) == 1
    lines = desktop.errors.strip().split("\n")
    assert len(lines) == 1, lines
    with pytest.raises(pytest.xfail.Exception):
        with as_far_as_the_host_can(desktop, doctor, beyond=(REAL,)):
            desktop.check()
