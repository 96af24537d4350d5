"""Debian's cloud kernel on many processors, and busy with processes that come and go."""

import os

import pytest

from conftest import FULL
from test_linux import COMMAND_LINE, KNOWN, TROUBLE, Serial

BOOTS = 10
# Programs, pipes and signals; each round says where a result is not what it should be.
STRESS = (
    "good=$(head -c 65536 /bin/busybox | md5sum); stress() { n=0; while [ $n -lt 15 ]; do"
    " n=$((n+1)); is=$(head -c 65536 /bin/busybox | gzip | gunzip | md5sum);"
    " [ \"$is\" = \"$good\" ] || echo wrong bytes $is; busybox true || echo wrong status;"
    " [ $( (echo $n | busybox cat) ) = $n ] || echo wrong pipe;"
    " (busybox sleep 0.01 & kill $!; wait); done; echo one is done; }")


@pytest.fixture
def guest(desktops, media, folder):
    def start(*options):
        path = os.path.join(folder, f"com1-{len(os.listdir(folder))}")
        desktop = desktops(
            "--kernel", media("vmlinuz-cloud-amd64"), "--initrd", media("initramfs-amd64.cpio"),
            "--append", COMMAND_LINE, "--serial", f"socket:{path}", *options)
        serial = Serial(path)
        serial.wait_shell()
        return desktop, serial
    return start


def ends_well(desktop, serial):
    bad = [line for line in serial.command("dmesg").split("\n")
           if TROUBLE.search(line) and not KNOWN.search(line)]
    assert not bad, "\n".join(bad)
    serial.link.sendall(b"poweroff -f\r")
    assert desktop.ended(30) == 0


@pytest.mark.without_kvm
@pytest.mark.limit(200)
def test_sixteen_processors_are_one_package_and_all_run(guest):
    desktop, serial = guest("--cpus", "16", "--memory", "512M")
    assert serial.command("nproc") == "16"
    topology = "/sys/devices/system/cpu/cpu9/topology"
    assert serial.command(f"cat {topology}/package_cpus_list") == "0-15"
    assert serial.command(f"cat {topology}/thread_siblings_list") == "9"
    # A program on each, one after the other, which says where it runs.
    where = serial.command(
        "for i in $(seq 0 15); do taskset -c $i sh -c 'cut -d\" \" -f39 /proc/self/stat'; done")
    assert where.split() == [str(index) for index in range(16)]
    ends_well(desktop, serial)


@pytest.mark.without_kvm
@pytest.mark.limit(1500)
def test_processes_come_and_go_beside_a_busy_processor(guest):
    if not FULL:
        pytest.skip(f"{BOOTS} boots with as many storms of processes, with PORTHOLE_FULL=1")
    for _ in range(BOOTS):
        desktop, serial = guest("--cpus", "2", "--vnc", "none")
        serial.command("(while :; do :; done) &")
        serial.command(STRESS)
        said = serial.command(
            "(stress & stress & stress & stress & wait) 2>&1 | grep -v Terminated", 300)
        assert said.split("\n") == ["one is done"] * 4
        ends_well(desktop, serial)
