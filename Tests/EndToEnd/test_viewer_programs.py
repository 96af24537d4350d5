"""A session with each of the viewers that people use: it connects, types, clicks, resizes its window,
and what it shows is what the desktop shows."""

import os
import shutil
import socket
import time

import numpy
import pytest

from desktop import until
from test_viewers import reads, ready
from x11 import Screen

TEXT = "Typed in a viewer: {brackets} and \"quotes\", 2 + 2 = 4; ~done~"
PAPER = (0xF8, 0xF4, 0xEA)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def tigervnc(screen, desktop):
    screen.view(desktop)
    return desktop.name


def gvncviewer(screen, desktop):
    screen.start("gvncviewer", f"{desktop.host}:{desktop.port - 5900}")
    return desktop.name


def remmina(screen, desktop):
    profile = os.path.join(screen.folder, "desktop.remmina")
    with open(profile, "w") as file:
        file.write(
            f"[remmina]\nname=porthole\nprotocol=VNC\nserver={desktop.host}:{desktop.port}\n"
            "quality=9\ncolordepth=32\nviewmode=1\nwindow_width=1120\nwindow_height=860\n")
    screen.start("dbus-run-session", "--", "remmina", "-c", profile)
    return "porthole"


def novnc(screen, desktop):
    port = free_port()
    screen.start(
        "websockify", "--web", "/usr/share/novnc", f"127.0.0.1:{port}",
        f"{desktop.host}:{desktop.port}")
    until(lambda: listens(port), 10, "websockify listens")
    screen.start(
        "chromium", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1200,960",
        "--test-type", f"--user-data-dir={screen.folder}/chromium",
        f"--app=http://127.0.0.1:{port}/vnc_lite.html?host=127.0.0.1&port={port}&path=websockify")
    return "noVNC"


def listens(port):
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


# How to start each, what it needs, and how far its colours may be off: some ask for JPEG.
VIEWERS = {
    "tigervnc": (tigervnc, ("xtigervncviewer",), 0),
    "gvncviewer": (gvncviewer, ("gvncviewer",), 2),
    "remmina": (remmina, ("remmina", "dbus-run-session"), 2),
    "novnc": (novnc, ("chromium", "websockify"), 4),
}


def distance(one, other):
    """The mean difference of two pictures' components."""
    if one.size != other.size:
        return 255
    return float(abs(
        numpy.asarray(one.convert("RGB")).astype("i") - numpy.asarray(other.convert("RGB"))).mean())


@pytest.mark.limit(90)
@pytest.mark.parametrize("name", list(VIEWERS))
def test_a_session(name, desktops, folder, keep):
    start, programs, tolerance = VIEWERS[name]
    missing = [program for program in (*programs, "Xvfb", "xdotool", "import")
               if not shutil.which(program)]
    assert not missing, f"{missing} are missing: scripts/install-dependencies.sh test"
    password = () if name == "tigervnc" else ("--no-password",)
    desktop = desktops("--guest", "demo:still", *password, name="session")
    ready(desktop)
    with Screen(folder) as screen:
        window = screen.window(start(screen, desktop), 30)
        place = until(
            lambda: screen.place(window, desktop.picture()), 20, "the viewer shows the desktop",
            pause=0.2)

        def point(x, y):
            screen.point(window, place[0] + x, place[1] + y)

        def agree(what):
            nonlocal place
            shown = screen.shown(window, place, (1024, 768))
            off = distance(shown, desktop.picture())
            if off > tolerance:
                # Remmina shows a bar above the desktop at first, and takes it away.
                place = screen.place(window, desktop.picture()) or place
                os.makedirs(os.path.dirname(keep), exist_ok=True)
                shown.save(f"{keep}-{what}-is.png")
                desktop.picture().save(f"{keep}-{what}-should-be.png")
            return off <= tolerance
        # Without a window manager a viewer notices the pointer at the first click. From corner to
        # corner then: a pointer that only tells how far it went knows after that where it is.
        screen.focus(window)
        point(20, 20)
        screen.run("xdotool", "click", "1")
        for x, y in ((1020, 760), (1, 1), (500, 400)):
            point(x, y)
        screen.run("xdotool", "click", "1")
        time.sleep(0.2)
        screen.type(TEXT)
        reads(desktop, TEXT)
        # TigerVNC tells of its menu for some seconds first.
        until(lambda: agree("typed"), 10, "the viewer shows what was typed", pause=0.2)
        # The pad by its title, 100 pixels down.
        assert desktop.picture().getpixel((200, 700)) != PAPER
        point(400, 99)
        screen.run("xdotool", "mousedown", "1")
        for y in (120, 170, 199):
            point(400, y)
        screen.run("xdotool", "mouseup", "1")
        until(lambda: desktop.picture().getpixel((200, 700)) == PAPER, 5, "the window has moved")
        until(lambda: agree("moved"), 5, "the viewer shows the window where it is now", pause=0.2)
        # Another size of the viewer's own window, and back.
        size = screen.picture(window).size
        screen.run("xdotool", "windowsize", "--sync", window, "700", "500")
        until(lambda: screen.picture(window).size == (700, 500), 5, "a small window", pause=0.1)
        screen.run("xdotool", "windowsize", "--sync", window, *map(str, size))
        until(lambda: screen.picture(window).size == size, 5, "the old size", pause=0.1)
        until(
            lambda: screen.place(window, desktop.picture()) == place and agree("resized"), 10,
            "the viewer shows all of it again", pause=0.2)
        desktop.check()
