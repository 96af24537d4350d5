"""VNC viewers on an X server of their own: what a person would see, type and point at."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import time

import numpy
from PIL import Image

from desktop import until

# Debian gives both names, depending on which viewer is the usual one.
VIEWER = shutil.which("xtigervncviewer") or shutil.which("vncviewer")


class Screen:
    """An X server without a monitor."""

    def __init__(self, folder):
        self.folder = folder
        reader, writer = os.pipe()
        # The server picks a free display and tells which.
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1600x1200x24", "-nolisten", "tcp"],
            pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            self.display = ":" + pipe.readline().strip()
        assert self.display != ":", "Xvfb did not start"
        self.environment = dict(
            os.environ, DISPLAY=self.display, HOME=folder, XAUTHORITY="/dev/null", LC_ALL="C")
        self.viewers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.viewers:
            # Its children, too: browsers have many.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.process.kill()
        self.process.wait()

    def start(self, *command):
        """Starts a program of the screen's; its process."""
        with open(os.path.join(self.folder, "viewer.log"), "ab") as log:
            process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        self.viewers.append(process)
        return process

    def view(self, desktop, password=None, *options):
        """Starts a viewer; its process."""
        file = os.path.join(self.folder, "viewer-password")
        with open(file, "wb") as out:
            subprocess.run(
                [shutil.which("tigervncpasswd") or "vncpasswd", "-f"], stdout=out, check=True,
                input=((password or desktop.password) + "\n").encode())
        return self.start(
            VIEWER, "-PasswordFile", file, "-Shared", "-RemoteResize=0", "-AlertOnFatalError=0",
            "-ReconnectOnError=0", "-AutoSelect=0", "-PreferredEncoding=ZRLE", "-FullColor",
            "-NoJPEG", *options, f"{desktop.host}::{desktop.port}")

    def run(self, *command):
        return subprocess.run(
            command, env=self.environment, capture_output=True, timeout=20)

    def window(self, title, seconds=15):
        """The number of the viewer's window, once it is shown."""
        def find():
            found = self.run("xdotool", "search", "--onlyvisible", "--name", title)
            return found.stdout.decode().split()
        return until(find, seconds, f"a window named {title}", pause=0.1)[-1]

    def picture(self, window):
        """What the window shows."""
        result = self.run("import", "-silent", "-window", window, "png:-")
        assert result.returncode == 0, result.stderr
        return Image.open(io.BytesIO(result.stdout)).convert("RGB")

    def place(self, window, picture):
        """Where in the window a viewer shows the desktop's picture, between its bars: the left top
        corner, found by the upper part of the picture; None where it is not to be seen."""
        shown = numpy.asarray(self.picture(window)).astype("i")
        wanted = numpy.asarray(picture.convert("RGB")).astype("i")
        # Pixels of the desktop's name, which nothing else looks like.
        rows, columns = numpy.mgrid[8:26:2, 10:90:2]
        best = None
        for y in range(max(0, min(200, shown.shape[0] - 40))):
            for x in range(max(0, min(160, shown.shape[1] - 100))):
                here = shown[rows + y, columns + x]
                distance = abs(here - wanted[rows, columns]).mean()
                if best is None or distance < best[0]:
                    best = (distance, x, y)
            if best and best[0] < 1:
                break
        return best[1:] if best and best[0] < 12 else None

    def shown(self, window, place, size):
        """The desktop as the viewer shows it at `place`."""
        return self.picture(window).crop((*place, place[0] + size[0], place[1] + size[1]))

    def point(self, window, x, y):
        self.run("xdotool", "mousemove", "--window", window, str(x), str(y))
        time.sleep(0.08)

    def focus(self, window):
        """Gives the window the keyboard, as a window manager would at a click."""
        self.run("xdotool", "mousemove", "--window", window, "20", "20")
        self.run("xdotool", "windowfocus", "--sync", window)
        time.sleep(0.3)

    def type(self, text):
        result = self.run("xdotool", "type", "--delay", "20", "--", text)
        assert result.returncode == 0, result.stderr
