"""Debian's kernels, saved at their shell and gone on with under the same engine or another."""

import os

import pytest

from test_linux import COMMAND_LINE, TROUBLE, Serial
from test_snapshot import have


@pytest.mark.without_kvm
@pytest.mark.limit(400)
@pytest.mark.parametrize("other", ["software", "hybrid"])
@pytest.mark.parametrize("flavour, architecture, machine", [
    ("cloud-amd64", "amd64", "x86_64"), ("686", "i386", "i686"), ("686-pae", "i386", "i686")])
def test_linux_goes_on_at_its_shell(
        desktops, media, porthole, folder, flavour, architecture, machine, other):
    have(porthole, other)
    path = os.path.join(folder, "com1")
    desktop = desktops(
        "--engine", "software", "--kernel", media(f"vmlinuz-{flavour}"), "--initrd",
        media(f"initramfs-{architecture}.cpio"), "--append", COMMAND_LINE, "--serial",
        f"socket:{path}")
    serial = Serial(path)
    serial.wait_shell()
    serial.command("echo kept > /tmp/kept; cd /tmp")
    uptime = float(serial.command("cut -d' ' -f1 /proc/uptime"))
    for number, engine in enumerate([other, "software"]):
        desktop.run("save", "--stop", path + ".snapshot", timeout=60)
        assert desktop.ended(10) == 0
        desktop = desktops("--engine", engine, "--restore", path + ".snapshot", "--serial",
                           f"socket:{path}-{number}")
        serial = Serial(f"{path}-{number}")
        assert serial.command("cat kept; uname -m") == f"kept\n{machine}"
        serial.command("sleep 1")
        now = float(serial.command("cut -d' ' -f1 /proc/uptime"))
        assert uptime + 1 <= now < uptime + 60
        uptime = now
        # Vectors, processes and memory: a checksum of a megabyte through a pipe.
        assert serial.command("head -c 1048576 /dev/zero | md5sum") == (
            "b6d81b360a5672d80c27430f39153e2c  -")
        assert not TROUBLE.search(serial.command("dmesg | tail -n 5"))
