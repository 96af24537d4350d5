"""TigerVNC's Xvnc as a third server: what it sends for the pictures of a session."""

import ctypes
import ctypes.util
import json
import os
import shutil
import subprocess
import time

PROGRAM = shutil.which("Xtigervnc") or shutil.which("Xvnc")
WIDTH, HEIGHT = 1024, 768
PAUSE = 0.06
Z_PIXMAP = 2


class Screen:
    """A window over all of an X server's screen, into which whole pictures are put."""

    def __init__(self, name):
        self.x = ctypes.CDLL(ctypes.util.find_library("X11"))
        self.x.XOpenDisplay.restype = ctypes.c_void_p
        self.x.XDefaultVisual.restype = ctypes.c_void_p
        self.x.XCreateImage.restype = ctypes.c_void_p
        self.x.XDefaultGC.restype = ctypes.c_void_p
        self.x.XRootWindow.restype = ctypes.c_ulong
        end = time.monotonic() + 10
        while not (display := self.x.XOpenDisplay(name.encode())):
            if time.monotonic() > end:
                raise RuntimeError("Xvnc did not start")
            time.sleep(0.05)
        self.display = ctypes.c_void_p(display)
        self.root = ctypes.c_ulong(self.x.XRootWindow(self.display, 0))
        self.context = ctypes.c_void_p(self.x.XDefaultGC(self.display, 0))
        self.visual = ctypes.c_void_p(self.x.XDefaultVisual(self.display, 0))

    def put(self, pixels):
        """Shows rows of blue, green, red and nothing."""
        image = ctypes.c_void_p(self.x.XCreateImage(
            self.display, self.visual, 24, Z_PIXMAP, 0, pixels, WIDTH, HEIGHT, 32, 0))
        self.x.XPutImage(
            self.display, self.root, self.context, image, 0, 0, 0, 0, WIDTH, HEIGHT)
        self.x.XSync(self.display, 0)


def bytes_sent(pictures, watcher, encodings, folder):
    """Bytes that Xvnc sends for `pictures`, one after the other, to a viewer of each of `encodings`."""
    sent = {}
    for name, listed in encodings.items():
        path = os.path.join(folder, f"xvnc-{name}.sock")
        number = f":{os.getpid() % 30000 + 100}"
        server = subprocess.Popen(
            [PROGRAM, number, "-geometry", f"{WIDTH}x{HEIGHT}", "-depth", "24", "-SecurityTypes",
             "None", "-rfbport", "-1", "-rfbunixpath", path],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            screen = Screen(number)
            screen.put(pictures[0])
            time.sleep(0.3)
            viewer = subprocess.Popen(
                [watcher, path, "drain", listed, str(len(pictures) * PAUSE + 1.5)],
                stdout=subprocess.PIPE, text=True)
            time.sleep(0.7)
            for picture in pictures[1:]:
                screen.put(picture)
                time.sleep(PAUSE)
            sent[name] = json.loads(viewer.communicate(timeout=60)[0])["bytes"]
        finally:
            server.terminate()
            server.wait(10)
    return sent
