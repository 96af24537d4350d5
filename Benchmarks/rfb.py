"""A small RFB 3.8 client (RFC 6143) for measuring: Raw encoding, one socket, no threads."""

import socket
import struct
import time


class Viewer:
    """A connection to a VNC server without a password, with the picture it sent so far."""

    def __init__(self, address, timeout=30.0):
        """address: (host, port) or the path of a UNIX socket."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self._handshake()

    def _read(self, count):
        while len(self.buffer) < count:
            part = self.socket.recv(1 << 20)
            if not part:
                raise ConnectionError("the server closed the connection")
            self.buffer += part
        result = bytes(self.buffer[:count])
        del self.buffer[:count]
        return result

    def _handshake(self):
        self._read(12)
        self.socket.sendall(b"RFB 003.008\n")
        kinds = self._read(self._read(1)[0])
        if 1 not in kinds:
            raise ConnectionError("the server wants a password")
        self.socket.sendall(b"\x01")
        if struct.unpack(">I", self._read(4))[0] != 0:
            raise ConnectionError("the server refused")
        self.socket.sendall(b"\x01")
        self.width, self.height = struct.unpack(">HH", self._read(4))
        self._read(16)
        self._read(struct.unpack(">I", self._read(4))[0])
        pixel_format = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
        self.socket.sendall(b"\x00\x00\x00\x00" + pixel_format)
        self.socket.sendall(struct.pack(">BxHii", 2, 2, 0, -223))  # Raw, DesktopSize
        self.pixels = bytearray(self.width * self.height * 4)

    def request(self, incremental=True):
        self.socket.sendall(
            struct.pack(">BBHHHH", 3, int(incremental), 0, 0, self.width, self.height))

    def key(self, keysym, down):
        self.socket.sendall(struct.pack(">BBxxI", 4, int(down), keysym))

    def pointer(self, x, y, buttons=0):
        self.socket.sendall(struct.pack(">BBHH", 5, buttons, x, y))

    def update(self):
        """Waits for one FramebufferUpdate; returns the bytes it carried. Other messages are read
        over."""
        while True:
            kind = self._read(1)[0]
            if kind == 0:
                break
            if kind == 1:
                self._read(3)
                self._read(struct.unpack(">H", self._read(2))[0] * 6)
            elif kind == 3:
                self._read(3)
                self._read(struct.unpack(">I", self._read(4))[0])
            elif kind != 2:
                raise ConnectionError(f"message {kind} is not known")
        count = struct.unpack(">xH", self._read(3))[0]
        received = 0
        for _ in range(count):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self._read(12))
            if encoding == -223:
                self.width, self.height = width, height
                self.pixels = bytearray(width * height * 4)
                continue
            if encoding != 0:
                raise ConnectionError(f"encoding {encoding} was not asked for")
            data = self._read(width * height * 4)
            received += len(data)
            for row in range(height):
                start = ((y + row) * self.width + x) * 4
                self.pixels[start:start + width * 4] = data[row * width * 4:(row + 1) * width * 4]
        return received

    def pixel(self, x, y):
        start = (y * self.width + x) * 4
        return struct.unpack("<I", self.pixels[start:start + 4])[0] & 0xFFFFFF

    def close(self):
        self.socket.close()


def connect_when_up(address, deadline=30.0):
    """Connects as soon as the server takes connections."""
    end = time.monotonic() + deadline
    while True:
        try:
            return Viewer(address)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                raise
            time.sleep(0.0005)
