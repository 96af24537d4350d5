"""Guests of other makers that nothing here was made for: each shows what it shows on a PC."""

import os

import pytest

from conftest import FULL
from desktop import until

pytestmark = [
    pytest.mark.without_kvm, pytest.mark.limit(180),
    pytest.mark.skipif(not FULL, reason="PORTHOLE_FULL=1 has Debian's games, kernels and boot tools"),
    pytest.mark.parametrize("engine", ["software", "hybrid"])]


@pytest.fixture
def boots(desktops, media, engine):
    """Starts a desktop with an option and one of those guests."""
    if engine == "hybrid" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("/dev/kvm is missing or not permitted")

    def start(option, name, *arguments):
        return desktops("--engine", engine, option, os.path.join(media("others"), name), *arguments,
                        "--no-password")
    return start


def test_ipxe_boots_directly_and_takes_commands(boots):
    desktop = boots("--kernel", "ipxe.lkrn")
    desktop.wait_text(r"Press Ctrl-B", 90)
    desktop.key("ctrl-b")
    desktop.wait_text(r"iPXE>", 20)
    desktop.type("echo 1 and ${netX/none}2", "--enter")
    desktop.wait_text(r"(?m)^1 and 2", 20)


def test_the_invaders_of_a_multiboot_game_come_down(boots):
    desktop = boots("--kernel", "invaders.exec")
    desktop.wait_text(r"-\*-", 20)

    def lowest():
        return max(row for row, line in enumerate(desktop.text().split("\n")) if "-*-" in line)
    first = lowest()
    until(lambda: lowest() > first, 60, "the invaders come down", pause=0.2)


def test_gnu_mach_starts_as_its_package_has_it(boots):
    desktop = boots("--kernel", "gnumach.gz", "--memory", "64M")
    # All that it can do without a server to start.
    desktop.wait_text(r"bootstrap_create: No bootstrap code loaded", 60)
    assert "com0: at atbus0, port = 3f8" in desktop.text()


def test_isolinux_draws_a_menu_and_finds_the_hardware(boots):
    desktop = boots("--cdrom", "isolinux.iso")
    until(lambda: desktop.picture().size == (640, 480), 60, "the menu's graphics", pause=0.3)
    desktop.key("enter")
    desktop.wait_text(r"Hardware Detection Tool", 60)
    desktop.wait_text(r"PCI Devices\( ?\d+\)", 20)


def test_memdisk_boots_a_floppy_in_memory(boots):
    desktop = boots("--cdrom", "isolinux.iso")
    until(lambda: desktop.picture().size == (640, 480), 60, "the menu's graphics", pause=0.3)
    desktop.key("down")
    desktop.key("enter")
    desktop.wait_text(r"This is the floppy in memory\.", 60)
