"""Whole desktops saved to a file, and gone on with under the same engine or another."""

import os
import re
import stat
import time

import pytest

import pad
from desktop import differing, same, until
from test_media import colours, seconds, settled


def saved(desktop, folder, name="desk.snapshot"):
    """Saves a desktop and has it end; the file."""
    path = os.path.join(folder, name)
    desktop.run("save", "--stop", path, timeout=60)
    assert desktop.ended(10) == 0
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    return path


# ---- Commands ----


def test_pause_holds_the_guest_and_resume_lets_it_go(desktops):
    desktop = desktops("--guest", "pulse", "--engine", "software", "--memory", "16M")
    until(lambda: desktop.picture().size == (320, 200), 10, "its picture")
    desktop.run("pause")
    before = desktop.picture()
    time.sleep(2.5)
    same(desktop.picture(), before)
    desktop.run("resume")
    until(lambda: differing(desktop.picture(), before), 5, "it goes on")


def test_a_saved_desktop_runs_on_and_the_file_replaces_the_old_one_whole(desktops, folder):
    desktop = desktops("--guest", "pulse", "--engine", "software", "--memory", "16M")
    until(lambda: desktop.picture().size == (320, 200), 10, "its picture")
    path = os.path.join(folder, "a.snapshot")
    for _ in range(2):
        desktop.run("save", path)
    before = desktop.picture()
    until(lambda: differing(desktop.picture(), before), 5, "it goes on")
    assert [name for name in os.listdir(folder) if ".part" in name] == []
    # Untouched memory costs nothing.
    assert os.path.getsize(path) < 4 << 20


def test_mistakes_with_snapshots_are_sentences(porthole, desktops, boot_sector, folder):
    desktop = desktops("--guest", "pulse", "--engine", "software", "--memory", "16M")
    assert "no such file" in porthole.refused("save", "--name", desktop.name, "/nowhere/a")
    path = saved(desktop, folder)
    assert "processors" in porthole.refused("run", "--restore", path, "--cpus", "2")
    assert "brings its machine" in porthole.refused(
        "run", "--restore", path, "--memory", "64M", status=64)
    assert "no such file" in porthole.refused("run", "--restore", path + "x")
    assert "needs these drives: none" in porthole.refused(
        "run", "--vnc", "none", "--engine", "software", "--restore", path, "--floppy",
        boot_sector(b"\xf4"))
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 100)
    assert "cut short" in porthole.refused(
        "run", "--vnc", "none", "--engine", "software", "--restore", path)
    with open(path, "wb") as file:
        file.write(b"hello")
    assert "no snapshot" in porthole.refused("run", "--restore", path)


def test_an_image_of_another_size_is_refused_and_a_changed_one_is_told(
        porthole, desktops, boot_sector, folder):
    floppy = boot_sector(b"\xf4\xeb\xfd")
    desktop = desktops("--engine", "software", "--floppy", floppy)
    path = saved(desktop, folder)
    os.utime(floppy)
    again = desktops("--engine", "software", "--restore", path)
    until(lambda: "was changed since the snapshot" in again.errors, 5, "the warning")
    again.kill()
    os.truncate(floppy, 737_280)
    assert "bytes, and the image in the snapshot had" in porthole.refused(
        "run", "--vnc", "none", "--engine", "software", "--restore", path)


# ---- From engine to engine ----


def test_the_keyboards_layout_is_part_of_a_snapshot(desktops, folder):
    # The demo's own keyboard is a US one: with Y and Z exchanged, it shows which key it got.
    desktop = desktops("--guest", "demo:still", "--keyboard", "de")
    settled(desktop, 20)
    path = saved(desktop, folder)
    desktop = desktops("--restore", path)
    desktop.type("zy-")
    until(lambda: pad.read(desktop.picture()) == "yz/", 10, "what the same keys type")
    path = saved(desktop, folder, "other.snapshot")
    desktop = desktops("--restore", path, "--keyboard", "us")
    desktop.type("zy-")
    until(lambda: pad.read(desktop.picture()) == "yz/zy-", 10, "what other keys type")


def test_the_demo_goes_from_kvm_to_software_and_back(desktops, folder):
    desktop = desktops("--engine", "kvm", "--guest", "demo:still")
    until(lambda: desktop.picture().size == (1024, 768), 20, "its picture")
    desktop.type("one")
    for number, (engine, word) in enumerate([("software", " two"), ("kvm", " three")]):
        before = settled(desktop, 20)
        path = saved(desktop, folder, f"{number}.snapshot")
        desktop = desktops("--engine", engine, "--restore", path)
        same(desktop.picture(), before)
        desktop.type(word)
        until(lambda: differing(desktop.picture(), before), 10, "the new word")


@pytest.mark.limit(300)
@pytest.mark.parametrize("other", ["software", "hybrid"])
def test_grub_goes_on_in_its_menu_and_in_graphics(desktops, media, porthole, folder, other):
    have(porthole, other)
    desktop = desktops("--engine", "software", "--read-only", media("grub-disk.img"))
    desktop.wait_text(r"\*Porthole: say hello", 60)
    desktop.key("down")
    desktop.wait_text(r"\*Porthole: graphics", 10)
    before = desktop.text()
    desktop = desktops("--engine", other, "--restore", saved(desktop, folder))
    assert desktop.text() == before
    desktop.key("enter")
    until(lambda: desktop.picture().size == (1024, 768), 30, "1024x768", pause=0.5)
    until(lambda: colours(desktop.picture()) > 1, 30, "a picture", pause=0.5)
    shown = settled(desktop, 30)
    desktop = desktops("--engine", "software", "--restore", saved(desktop, folder))
    same(desktop.picture(), shown)
    desktop.key("down")
    until(lambda: differing(desktop.picture(), shown), 30, "the menu moves")


@pytest.mark.limit(180)
@pytest.mark.parametrize("other", ["software", "hybrid"])
def test_syslinux_goes_on_in_its_menu(desktops, media, porthole, folder, other):
    have(porthole, other)
    desktop = desktops("--engine", "software", "--read-only", media("syslinux-disk.img"))
    desktop.wait_text(r"Press \[Tab\] to edit options\s*$", 60)
    desktop = desktops("--engine", other, "--restore", saved(desktop, folder))
    desktop.wait_text(r"Porthole boot menu", 5)
    desktop.key("enter")
    desktop.wait_text(r"Hello from syslinux\.", 30)


@pytest.mark.limit(180)
@pytest.mark.parametrize("other", ["software", "hybrid"])
@pytest.mark.parametrize("medium", ["memtest-ia32.iso", "memtest-x64.iso"])
def test_memtest_goes_on_testing(desktops, media, porthole, folder, medium, other):
    have(porthole, other)
    desktop = desktops("--engine", "software", "--cpus", "2", "--memory", "64M", media(medium))
    pattern = r"Time: +(\d+):(\d+):(\d+) +Status: Testing"
    first = desktop.wait_text(pattern, 60)
    desktop = desktops("--engine", other, "--restore", saved(desktop, folder))
    until(
        lambda: seconds(re.search(pattern, desktop.glance())) >= seconds(first) + 2, 20,
        "the clock runs", pause=0.2)
    progress = desktop.wait_text(r"Test #(\d+)", 5).group(1)
    until(
        lambda: re.search(rf"Test #(?!{progress}\b)\d+", desktop.glance()), 60,
        "the next test begins", pause=0.2)
    assert re.search(r"Errors: 0\b", desktop.glance())


def have(porthole, engine):
    """Skips, by name, where this program has no such engine."""
    if engine not in porthole.good("run", "--help"):
        pytest.skip(f"there is no {engine} engine")
