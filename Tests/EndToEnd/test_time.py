"""A guest's clock goes as fast as the host's while its processors are busy, and stands still while the
desktop is paused, where the engine can make it.
"""

import json
import os
import re
import time

import pytest

from conftest import FULL
from desktop import until
from test_linux import COMMAND_LINE, TROUBLE, Serial

SECONDS = 600 if FULL else 20
# What a guest's clock may gain or lose in ten minutes.
MOST = 0.010
# Arithmetic, processes that come and go, and a pipe between two of them.
LOAD = ("(while :; do :; done) & (while :; do busybox true; done) &"
        " (while :; do head -c 100000 /dev/zero | md5sum > /dev/null; done) &")


class Stamps:
    """The guest's calendar, as it stamps lines that it is sent."""

    def __init__(self, serial):
        self.serial = serial
        serial.link.sendall(b"stty -echo; renice -n -20 $$ > /dev/null; ts %.s\r")
        until(lambda: self.ask(0.5), 20, "a stamped line")

    def ask(self, seconds):
        """One question: how long the answer took, and how far the guest is ahead in the middle of
        that time, in seconds; None where none came."""
        start = len(self.serial.bytes)
        asked = time.time()
        self.serial.link.sendall(b"stamp\r")
        while time.time() - asked < seconds:
            answer = re.search(rb"(\d+\.\d+) stamp\r?\n", self.serial.bytes[start:])
            if answer:
                now = time.time()
                return now - asked, float(answer.group(1)) - (asked + now) / 2
            time.sleep(0.0002)
        return None

    def ahead(self):
        """How far the guest is ahead, and how uncertain that is: from the quickest of many answers."""
        answers = []
        for _ in range(40):
            answers.append(self.ask(10))
            time.sleep(0.05)
        assert None not in answers
        took, ahead = min(answers)
        return ahead, took / 2

    def end(self):
        start = len(self.serial.text)
        self.serial.link.sendall(b"\x04")
        self.serial.wait("guest# ", 20, after=start)
        self.serial.link.sendall(b"stty echo; echo; echo 'it ends'\r")
        self.serial.wait(r"\nit ends\nguest# ", 20, after=start)


@pytest.fixture
def engine(porthole):
    """The engine that desktops get on this host."""
    return json.loads(porthole.good("doctor", "--json"))["engine"]


@pytest.fixture
def guest(desktops, media, folder):
    """Boots a guest; the desktop and the serial line, with a shell."""
    def start(*options):
        path = os.path.join(folder, "com1")
        desktop = desktops(
            *options, "--kernel", media("vmlinuz-cloud-amd64"), "--initrd",
            media("initramfs-amd64.cpio"), "--append", COMMAND_LINE, "--serial", f"socket:{path}")
        serial = Serial(path)
        serial.wait_shell()
        # The kernel measures the counter's frequency once more, then takes it for its clock.
        until(lambda: serial.command("cat /sys/devices/system/clocksource/clocksource0/current*")
              == "tsc", 30, "the time-stamp counter as clock")
        return desktop, serial
    return start


@pytest.mark.without_kvm
@pytest.mark.limit(SECONDS + 200)
def test_guest_keeps_the_hosts_time_under_load_and_after_a_pause(guest, engine):
    desktop, serial = guest("--cpus", "2")
    serial.command(LOAD)
    stamps = Stamps(serial)
    began, first, doubt = time.time(), *stamps.ahead()
    time.sleep(SECONDS)
    last, more = stamps.ahead()
    doubt += more
    print(f"in {time.time() - began:.0f} s the guest gained {(last - first) * 1000:.3f} ms,"
          f" {doubt * 1000:.3f} ms more or less")
    assert doubt < 0.1, "the host is too busy to measure anything"
    assert abs(last - first) < MOST + doubt
    # Where KVM can't move the time-stamp counter of user code, it goes on.
    pause(desktop, stamps, stands_still=engine != "hybrid")
    stamps.end()
    # The battery's clock went on, as in a PC that was suspended.
    assert abs(int(serial.command("cat /sys/class/rtc/rtc0/since_epoch")) - time.time()) < 3
    log = serial.command("dmesg")
    assert not TROUBLE.search(log.split("Run /init")[1]) and "unstable" not in log


@pytest.mark.without_kvm
@pytest.mark.limit(200)
def test_guest_in_software_stands_still_while_paused(guest):
    desktop, serial = guest("--engine", "software")
    pause(desktop, Stamps(serial), stands_still=True)


def pause(desktop, stamps, stands_still):
    """Pauses the desktop for a while; the guest's calendar is behind by that time then, or by none."""
    start, doubt = stamps.ahead()
    before = time.time()
    desktop.run("pause")
    paused = time.time()
    assert stamps.ask(2) is None
    resumed = time.time()
    desktop.run("resume")
    after = time.time()
    time.sleep(1)
    late, more = stamps.ahead()
    doubt += more + MOST
    shortest, longest = (resumed - paused, after - before) if stands_still else (0, 0)
    assert shortest - doubt < start - late < longest + doubt
