"""Our firmware's boot menu: asked for with --boot menu, and by F12 held during a reset."""

import pytest

import rfb

F12, ESCAPE = 0xFFC9, 0xFF1B
# Boot sectors that say which they are, and stop: MOV SI,text; print by INT 10h.
SAY = bytes.fromhex("31c08ed8be187c ac84c0 7406 b40e cd10 ebf5 f4 ebfd")


def says(text):
    """A boot sector whose text is at its offset 18h."""
    return SAY.ljust(0x18, b"\x90")[:0x18] + text.encode() + b"\0"


@pytest.fixture
def drives(boot_sector):
    floppy = boot_sector(says("This is the floppy."), name="first.img")
    disk = boot_sector(says("This is the disk."), name="second.img", size=8 << 20)
    return "--floppy", floppy, "--disk", disk


def test_the_menu_boots_what_is_chosen(desktops, drives):
    desktop = desktops("--engine", "software", "--boot", "menu", *drives, "--no-password")
    desktop.wait_text(r"Arrows and Enter choose", 15)
    shown = [line.strip() for line in desktop.text().splitlines() if line.strip()]
    assert shown == ["Boot from", "1  Floppy disk: first.img", "2  Hard disk: second.img",
                     "Arrows and Enter choose, Esc boots as usual"]
    desktop.key("down")
    desktop.key("enter")
    desktop.wait_text(r"This is the disk\.", 10)


def test_f12_held_during_a_reset_shows_the_menu(desktops, drives):
    desktop = desktops("--engine", "software", *drives, "--no-password")
    desktop.wait_text(r"This is the floppy\.", 15)
    with rfb.RFB(desktop.host, desktop.port) as viewer:
        viewer.key(F12, True)
        desktop.reset()
        desktop.wait_text(r"Arrows and Enter choose", 10)
        viewer.key(F12, False)
        viewer.tap(ESCAPE)
        desktop.wait_text(r"This is the floppy\.", 10)
    desktop.reset()
    desktop.wait_text(r"This is the floppy\.", 10)
