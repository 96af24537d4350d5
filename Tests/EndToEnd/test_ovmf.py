"""OVMF as Debian packages it, unmodified: it reaches its shell, keeps its variables, and boots from a
disk's EFI system partition."""

import os
import signal

import pytest
from PIL import Image

from conftest import FULL
from desktop import same, until

HERE = os.path.dirname(os.path.abspath(__file__))
VARIABLE = "Porthole -guid 00112233-4455-6677-8899-aabbccddeeff"
# The shell's first line on the screen: the rest counts seconds, and names OVMF's version.
FIRST_LINE = (100, 90, 400, 110)


class Console:
    """OVMF's console on the serial port, which says what the screen shows."""

    def __init__(self, folder, name="serial"):
        self.path = os.path.join(folder, name)

    @property
    def option(self):
        return "--serial", "file:" + self.path

    def text(self):
        if not os.path.exists(self.path):
            return ""
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self, text, seconds, since=0):
        until(lambda: text in self.text()[since:], seconds, f"{text!r} on the serial port", pause=0.1)
        return len(self.text())


def started(desktops, console, *options):
    """OVMF at its shell's prompt, without waiting for the script that is not there."""
    desktop = desktops("--firmware", "ovmf", "--memory", "256M", *console.option, *options)
    console.wait("Shell>", 55)
    return desktop


def typed(desktop, console, line, answer, seconds=20):
    """Types a command, waits for what it answers."""
    before = len(console.text())
    desktop.type(line + "\n")
    console.wait(answer, seconds, since=before)


@pytest.mark.limit(120)
def test_ovmf_reaches_its_shell_and_keeps_its_variables(desktops, folder, keep):
    store = os.path.join(folder, "variables")
    console = Console(folder, "first")
    desktop = started(desktops, console, "--engine", "software", "--firmware-variables", store)
    picture = desktop.picture()
    assert picture.size == (1024, 768)
    golden = Image.open(os.path.join(HERE, "golden/ovmf-shell.png")).convert("RGB")
    same(picture.crop(FIRST_LINE), golden, keep=keep)
    typed(desktop, console, f"setvar {VARIABLE} -nv -bs =0xC0FFEE", "Shell>")
    typed(desktop, console, f"setvar {VARIABLE}", "EE FF C0 00")
    desktop.signal(signal.SIGKILL)
    desktop.ended()

    console = Console(folder, "second")
    desktop = started(
        desktops, console, "--engine", "hybrid", "--cpus", "2", "--firmware-variables", store)
    typed(desktop, console, f"setvar {VARIABLE}", "EE FF C0 00")
    desktop.type("reset -s\n")
    assert desktop.ended(20) == 0, "the shell switches the desktop off"


@pytest.mark.parametrize("medium", ["disk", "CD"])
def test_ovmf_boots_what_it_is_told_to(desktops, media, folder, medium):
    if medium == "CD" and not FULL:
        pytest.skip("OVMF's start takes ten seconds, and a disk's test has it: set PORTHOLE_FULL=1")
    console = Console(folder)
    desktops("--firmware", "ovmf", "--memory", "256M", "--engine", "software",
             "--disk", media("grub-efi.img"), "--cdrom", media("grub-efi.iso"), "--read-only",
             "--boot", medium.lower().replace("cd", "cdrom"), *console.option)
    console.wait(f"Hello from GRUB as a UEFI program on a {medium}.", 50)


def test_mistakes_with_variables_are_sentences(porthole, folder):
    path = os.path.join(folder, "not-variables")
    with open(path, "w", encoding="ascii") as file:
        file.write("hello")
    run = ("run", "--vnc", "none", "--engine", "software")
    refused = porthole.refused(*run, "--firmware", "ovmf", "--firmware-variables", path)
    assert "holds no variables of this firmware: it has 5 bytes instead of 540672" in refused
    refused = porthole.refused(*run, "--firmware-variables", path)
    assert refused == "only OVMF has variables: --firmware-variables goes with --firmware ovmf"
    missing = os.path.join(folder, "nowhere/variables")
    refused = porthole.refused(*run, "--firmware", "ovmf", "--firmware-variables", missing)
    assert refused.startswith(f"cannot make {missing} for the firmware's variables: ")
