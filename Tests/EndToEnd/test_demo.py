"""The demo desktop: its scenes, its windows, and what its tester shows."""

import os
import re
import time

import pytest
from PIL import ImageChops

from desktop import differing, until
from rfb import RFB

PAPER = (0xF8, 0xF4, 0xEA)
LEFT, RIGHT = 1, 4


def rates(path):
    """The guest's pictures in each second so far."""
    with open(path) as file:
        return [int(number) for number in re.findall(r"^frames (\d+)\s", file.read(), re.M)]


def colours(picture, box):
    """How many colours a part of the picture has."""
    return len(picture.crop(box).getcolors(1 << 20))


def shows(picture, box, colour):
    """Whether a part of the picture has pixels of a colour."""
    return any(found == colour for _, found in picture.crop(box).getcolors(1 << 20))


@pytest.fixture
def scene(desktops, folder):
    """Starts the demo with a scene; the desktop, and where its serial port goes."""
    def start(name, *options):
        path = os.path.join(folder, "serial-" + name)
        desktop = desktops("--guest", f"demo:{name}", "--serial", f"file:{path}", *options)
        until(lambda: "demo ready" in open(path).read(), 20, "the demo is ready")
        return desktop, path
    return start


@pytest.mark.parametrize("name, least", [("drag", 15), ("scroll", 15), ("noise", 15)])
def test_scenes_that_move_count_their_pictures(scene, name, least):
    desktop, path = scene(name)
    before = desktop.picture()
    assert before.size == (1024, 768)
    until(lambda: differing(desktop.picture(), before), 5, "it moves")
    # 60 on an idle host; noise as many as the processor makes.
    until(lambda: max(rates(path), default=0) >= least, 10, "the pictures of a second")


def test_keys_change_the_scene(scene):
    desktop, path = scene("still")
    assert rates(path) == []
    still = desktop.picture()
    desktop.key("f5")
    until(lambda: colours(desktop.picture(), (0, 100, 64, 148)) > 2000, 5, "noise")
    desktop.key("f2")
    until(lambda: not differing(desktop.picture(), still), 5, "the still scene again")
    count = len(rates(path))
    time.sleep(1.2)
    assert len(rates(path)) <= count + 1, "the still scene has no seconds"


def test_windows_are_dragged_and_drawn_upon(scene):
    desktop, _ = scene("desktop")
    with RFB(desktop.host, desktop.port, desktop.password) as viewer:
        viewer.settle(seconds=0.5)

        def at(x, y, buttons=0):
            viewer.pointer(x, y, buttons)
            time.sleep(0.05)
        # The pad by its title, 100 pixels down; its place is paper then.
        x, y = 300, 400 + 60
        assert desktop.picture().getpixel((x, y)) != PAPER
        at(300, 89)
        at(300, 89, LEFT)
        at(300, 150, LEFT)
        at(300, 189, LEFT)
        at(300, 189)
        until(lambda: desktop.picture().getpixel((x, y)) == PAPER, 5, "the window has moved")
        # A line on the canvas.
        spot = (740, 430)
        assert desktop.picture().getpixel(spot) == (0xFF, 0xFD, 0xF7)
        at(740, 410)
        at(740, 410, LEFT)
        at(740, 450, LEFT)
        at(740, 450)
        at(900, 540)
        until(lambda: desktop.picture().getpixel(spot) == (0x3F, 0x9F, 0xC4), 5, "the line")


@pytest.mark.parametrize("engine", ["software", "hybrid", "kvm"])
def test_the_pointer_stands_where_the_viewers_is(scene, engine):
    desktop, _ = scene("still", "--engine", engine)

    def pointer():
        """The white of the arrow, which nothing else in the picture has."""
        white = desktop.picture().convert("RGB").point(lambda value: value == 255 and 255)
        return ImageChops.multiply(
            ImageChops.multiply(*white.split()[:2]), white.split()[2]).getbbox()
    with RFB(desktop.host, desktop.port, desktop.password) as viewer:
        for x, y in ((300, 300), (0, 0), (1000, 740), (512, 384), (513, 384)):
            viewer.pointer(x, y)
            until(lambda: pointer()[:2] == (x + 2, y + 5), 3, f"the arrow is at {x}, {y}")


def test_the_tester_shows_keys_and_buttons(scene):
    desktop, _ = scene("desktop")
    code = (821, 654)
    right, left = (704, 714, 774, 738), (552, 714, 622, 738)
    lit, rose = (0x58, 0xC7, 0xD4), (0xEC, 0x6F, 0x86)
    with RFB(desktop.host, desktop.port, desktop.password) as viewer:
        assert desktop.picture().getpixel(code) != lit
        desktop.key("ctrl")
        until(lambda: desktop.picture().getpixel(code) == lit, 5, "a scan code")
        viewer.pointer(500, 740, RIGHT)
        until(lambda: shows(desktop.picture(), right, rose), 5, "a button")
        assert not shows(desktop.picture(), left, rose)
        viewer.pointer(500, 740)
        until(lambda: not shows(desktop.picture(), right, rose), 5, "none")


def test_a_scene_that_is_not_there_is_named(porthole):
    assert porthole.refused("run", "--guest", "demo:party", "--vnc", "none") == (
        "the guest demo has no scene party; it has desktop, still, drag, scroll, noise")
    assert "no scene" in porthole.refused("demo", "--scene", "party", "--vnc", "none")
    assert "--guest" in porthole.refused("demo", "--guest", "echo", status=64)
    assert "16M" in porthole.refused("demo", "--memory", "8M", status=64)


def test_the_screen_has_the_size_that_was_asked_for(desktops, folder):
    for size in ((800, 600), (1920, 1080)):
        desktop = desktops("--guest", "demo:still@{}x{}".format(*size))
        until(lambda: desktop.picture().size == size, 10, f"{size}")
        until(lambda: desktop.picture().getpixel((10, size[1] - 1)) != (0, 0, 0), 5, "its wallpaper")
        desktop.kill()


def test_a_size_that_no_screen_has_is_named(porthole):
    assert "9x9" in porthole.refused(
        "demo", "--resolution", "9x9", "--vnc", "none", status=64)
    assert "1280x800" in porthole.refused("run", "--guest", "echo@1280x800", "--vnc", "none")
