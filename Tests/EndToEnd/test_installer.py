"""Debian's graphical installer as its package has it: its first page takes a click and keys."""

import os
import time

import pytest

from conftest import FULL
from desktop import differing, until
from rfb import RFB

DOWN, RETURN = 0xFF54, 0xFF0D
# The colour of the list's row that is selected.
SELECTED = (41, 133, 126)
COLUMN, ROWS = 500, range(172, 705)


def near(one, other):
    return max(abs(a - b) for a, b in zip(one, other)) < 12


def selected(picture):
    """Where the selected row of the list stands: the middle of it, None where there is none."""
    if picture.size != (1024, 768):
        return None
    rows = [y for y in ROWS if near(picture.getpixel((COLUMN, y)), SELECTED)]
    return sum(rows) / len(rows) if rows else None


@pytest.mark.without_kvm
@pytest.mark.limit(900)
def test_graphical_installer_takes_a_click_and_keys_on_its_first_page(desktops, media, keep):
    if not FULL:
        pytest.skip("the graphical installer's start takes minutes: set PORTHOLE_FULL=1")
    images = media("installer")
    started = time.monotonic()
    desktop = desktops(
        "--memory", "1G", "--cpus", "2", "--kernel", os.path.join(images, "linux"), "--initrd",
        os.path.join(images, "initrd.gz"), "--append", "vga=788 --- quiet")
    until(lambda: selected(desktop.picture()), 600, "the list of languages", pause=1)
    print(f"the first page after {time.monotonic() - started:.0f} s")
    time.sleep(2)
    first = desktop.picture()
    english = selected(first)
    os.makedirs(os.path.dirname(keep), exist_ok=True)
    first.save(keep + ".png")
    with RFB(desktop.host, desktop.port, desktop.password) as viewer:
        viewer.settle(seconds=2)
        viewer.pointer(300, 560)
        until(lambda: differing(desktop.picture(), first), 20, "the arrow moves", pause=0.2)
        # The first page's pointer is the tablet, so the arrow stands where the viewer's does.
        viewer.pointer(300, int(english) + 115)
        viewer.pointer(300, int(english) + 115, buttons=1)
        time.sleep(0.3)
        viewer.pointer(300, int(english) + 115)
        clicked = until(
            lambda: abs((selected(desktop.picture()) or english) - english - 115) < 16 and
            selected(desktop.picture()), 20, "the row that was clicked is selected", pause=0.2)
        viewer.tap(DOWN)
        until(lambda: 12 < selected(desktop.picture()) - clicked < 40, 20, "the next row", pause=0.2)
        desktop.picture().save(keep + "-chosen.png")
        viewer.tap(RETURN)
        until(lambda: differing(desktop.picture().crop((0, 80, 1024, 160)),
                                first.crop((0, 80, 1024, 160))), 120, "the next page", pause=1)
        desktop.picture().save(keep + "-next.png")
