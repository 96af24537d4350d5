"""A small VNC client (RFC 6143) that does what no good viewer would: it counts bytes, stops reading,
and leaves without a word."""

import select
import socket
import struct
import time

from cryptography.hazmat.primitives.ciphers import Cipher, modes
try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:
    from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES
from PIL import Image

RAW, DESKTOP_SIZE, LIGHTS = 0, -223, -261
SHIFT, RETURN, CAPS_LOCK = 0xFFE1, 0xFF0D, 0xFFE5


class Refused(Exception):
    """The server turned this viewer away."""


class RFB:
    """A connection past its handshake; pixels are 32-bit, raw."""

    def __init__(self, host, port, password=None, encodings=(RAW, DESKTOP_SIZE), buffer=None):
        self.link = socket.socket()
        if buffer:
            self.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.link.settimeout(10)
        self.link.connect((host, port))
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._shake_hands(password)
        self.link.sendall(b"\x01")
        self.width, self.height = struct.unpack(">HH", self.read(20)[:4])
        self.name = self.read(struct.unpack(">I", self.read(4))[0]).decode()
        self.link.sendall(
            b"\0\0\0\0" + struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        self.link.sendall(
            struct.pack(">BxH", 2, len(encodings)) + b"".join(struct.pack(">i", e) for e in encodings))
        self.image = Image.new("RGB", (self.width, self.height))
        self.sizes = [(self.width, self.height)]
        # As the guest set the keyboard's lights: Scroll Lock 1, Num Lock 2, Caps Lock 4.
        self.lights = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.link.close()

    def _shake_hands(self, password):
        version = self.read(12)
        assert version == b"RFB 003.008\n", version
        self.link.sendall(version)
        count = self.read(1)[0]
        if count == 0:
            raise Refused(self.read(struct.unpack(">I", self.read(4))[0]).decode())
        kinds = self.read(count)
        kind = 2 if password is not None else 1
        assert kind in kinds, kinds
        self.link.sendall(bytes([kind]))
        if kind == 2:
            key = password.encode()[:8].ljust(8, b"\0")
            key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
            cipher = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()
            self.link.sendall(cipher.update(self.read(16)) + cipher.finalize())
        if struct.unpack(">I", self.read(4))[0]:
            raise Refused(self.read(struct.unpack(">I", self.read(4))[0]).decode())

    def read(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.link.recv(count - len(data))
            if not part:
                raise ConnectionError("the server closed the connection")
            data += part
        return bytes(data)

    def request(self, incremental=True):
        self.link.sendall(
            struct.pack(">BBHHHH", 3, int(incremental), 0, 0, self.width, self.height))

    def key(self, keysym, pressed):
        self.link.sendall(struct.pack(">BBxxI", 4, int(pressed), keysym))

    def tap(self, keysym):
        self.key(keysym, True)
        self.key(keysym, False)

    def pointer(self, x, y, buttons=0):
        self.link.sendall(struct.pack(">BBHH", 5, buttons, x, y))

    def pending(self, seconds):
        """Whether something is there to read within `seconds`."""
        return bool(select.select([self.link], [], [], seconds)[0])

    def update(self):
        """Reads one message into the picture; whether it was an update."""
        kind = self.read(1)[0]
        if kind == 2:
            return False
        if kind == 3:
            self.read(struct.unpack(">xxxI", self.read(7))[0])
            return False
        assert kind == 0, kind
        for _ in range(struct.unpack(">xH", self.read(3))[0]):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self.read(12))
            if encoding == DESKTOP_SIZE:
                self.width, self.height = width, height
                self.sizes.append((width, height))
                self.image = Image.new("RGB", (width, height))
                continue
            if encoding == LIGHTS:
                self.lights.append(self.read(1)[0])
                continue
            assert encoding == RAW, encoding
            part = Image.frombytes(
                "RGB", (width, height), self.read(width * height * 4), "raw", "BGRX")
            self.image.paste(part, (x, y))
        return True

    def watch(self, condition, seconds, what):
        """Follows the screen until `condition` holds for the picture."""
        end = time.monotonic() + seconds
        while not condition(self.image):
            self.request()
            while not self.pending(max(0, end - time.monotonic())):
                assert time.monotonic() < end, f"after {seconds} s still not: {what}"
            self.update()
            assert time.monotonic() < end, f"after {seconds} s still not: {what}"

    def settle(self, still=0.3, seconds=10):
        """Takes the whole picture, and updates until none came for `still` seconds."""
        self.request(incremental=False)
        end = time.monotonic() + seconds
        while self.pending(still) and time.monotonic() < end:
            if self.update():
                self.request()
        return self.image

    def leave_rudely(self):
        """Resets the connection, as a killed viewer's host might."""
        self.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.link.close()
