"""TigerVNC's viewer on an X server of its own: what a person would see and type."""

import io
import os
import shutil
import subprocess
import time

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
        for process in [*self.viewers, self.process]:
            process.kill()
            process.wait()

    def view(self, desktop, password=None, *options):
        """Starts a viewer; its process."""
        file = os.path.join(self.folder, "viewer-password")
        with open(file, "wb") as out:
            subprocess.run(
                [shutil.which("tigervncpasswd") or "vncpasswd", "-f"], stdout=out, check=True,
                input=((password or desktop.password) + "\n").encode())
        log = open(os.path.join(self.folder, "viewer.log"), "ab")
        process = subprocess.Popen(
            [VIEWER, "-PasswordFile", file, "-Shared", "-RemoteResize=0", "-AlertOnFatalError=0",
             "-ReconnectOnError=0", "-AutoSelect=0", "-PreferredEncoding=ZRLE", "-FullColor",
             "-NoJPEG", *options, f"{desktop.host}::{desktop.port}"],
            env=self.environment, stdout=log, stderr=log)
        log.close()
        self.viewers.append(process)
        return process

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

    def focus(self, window):
        """Gives the window the keyboard, as a window manager would at a click."""
        self.run("xdotool", "mousemove", "--window", window, "20", "20")
        self.run("xdotool", "windowfocus", "--sync", window)
        time.sleep(0.3)

    def type(self, text):
        result = self.run("xdotool", "type", "--delay", "20", "--", text)
        assert result.returncode == 0, result.stderr
