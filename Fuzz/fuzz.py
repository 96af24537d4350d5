#!/usr/bin/env python3
"""Feeds desktops garbage: as a guest, as an image, as a viewer, as a control client, as a configuration.

A round fails when the desktop's process dies by a signal, does not answer its control socket, or does
not end when asked. The round's seed is printed; --seed runs it again.
"""

import argparse
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

FLOPPY = 1_474_560
PORTS = [0x20, 0x21, 0x40, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0x92, 0xA0, 0xA1, 0xB8,
         0x1CE, 0x1CF, 0x1D0, 0x3B4, 0x3C0, 0x3C1, 0x3C2, 0x3C4, 0x3C5, 0x3C6, 0x3C7, 0x3C8, 0x3C9,
         0x3CE, 0x3CF, 0x3D4, 0x3D5, 0x3DA, 0x3F8, 0x3F9, 0x3FA, 0x3FB, 0x3FC, 0x4D0, 0xCF8, 0xCFC]
INTERRUPTS = [0x10, 0x10, 0x10, 0x11, 0x12, 0x13, 0x13, 0x14, 0x15, 0x16, 0x17, 0x1A]


class Failure(Exception):
    pass


class Desktop:
    """A desktop under fire."""

    def __init__(self, binary, folder, *options):
        self.vnc = os.path.join(folder, "vnc.sock")
        self.control = os.path.join(folder, "porthole", "fuzz.sock")
        self.log = open(os.path.join(folder, "log"), "w+b")
        self.process = subprocess.Popen(
            [binary, "run", "--name", "fuzz", "--memory", "16M", "--vnc", f"unix:{self.vnc}",
             "--no-password", *options],
            stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL,
            env=dict(os.environ, XDG_RUNTIME_DIR=folder))
        self.started = bool(self.process.stdout.readline())

    def connect(self, path):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(path)
        return client

    def answers(self):
        with self.connect(self.control) as client:
            client.sendall(b'{"v":1,"method":"status"}\n{"v":1,"method":"screenshot"}\n')
            return b'"pid"' in client.recv(4096)

    def judge(self, may_stop):
        """Raises where the desktop is not as it should be; ends it."""
        try:
            code = self.process.poll()
            if code is None:
                try:
                    if not self.answers():
                        raise Failure("the control socket gives no status")
                except OSError as error:
                    # A desktop may be stopping by itself just now.
                    if not may_stop or self.wait(5) is None:
                        raise Failure(f"the control socket does not answer: {error}") from error
                self.process.send_signal(signal.SIGTERM)
                code = self.wait(10)
                if code is None:
                    raise Failure("SIGTERM does not end it")
            elif not may_stop:
                raise Failure(f"it stopped with {code}: {self.words()}")
            if code < 0 or code > 128:
                raise Failure(f"it died with {code}: {self.words()}")
        finally:
            self.process.kill()
            self.process.communicate()
            self.log.close()

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def words(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-2000:]


def garbage(rng, most=4096):
    return rng.randbytes(rng.randrange(1, most))


def boot_code(rng):
    """A boot sector of port writes, services with random registers, and stores here and there."""
    code = bytearray(b"\xfb")
    while len(code) < 480:
        kind = rng.randrange(6)
        value = rng.randrange(1 << 16)
        if kind <= 1:
            port = rng.choice(PORTS) if rng.random() < 0.9 else rng.randrange(1 << 16)
            code += b"\xba" + port.to_bytes(2, "little") + b"\xb8" + value.to_bytes(2, "little")
            code += rng.choice([b"\xee", b"\xef", b"\x66\xef", b"\xec", b"\xed", b"\x66\xed"])
        elif kind == 2:
            for load in (b"\xbb", b"\xb9", b"\xba", b"\xbe", b"\xbf", b"\xbd"):
                code += load + rng.choice([value & 0xFF, rng.randrange(1 << 16), 0, 0xFFFF]).to_bytes(
                    2, "little")
            code += b"\xb8" + rng.randrange(1 << 16).to_bytes(2, "little")
            code += b"\xcd" + bytes([rng.choice(INTERRUPTS)])
        elif kind == 3:
            segment = rng.choice([0xA000, 0xB800, 0x0040, 0x9FC0, 0xF000, value])
            code += b"\xb8" + segment.to_bytes(2, "little") + b"\x8e\xc0"
            code += b"\xbf" + rng.randrange(1 << 16).to_bytes(2, "little")
            code += b"\xb9\x40\x00" + rng.choice([b"\xf3\xab", b"\xf3\xaa", b"\xf3\xa4", b"\x26\x8a\x05"])
        elif kind == 4:
            code += garbage(rng, 4)
        else:
            code += rng.choice([b"\xfb", b"\xfa", b"\xfc", b"\xfd", b"\x90"])
    return bytes(code[:507]).ljust(507, b"\x90") + b"\xf4\xeb\xfd"[:3]


def fuzz_guest(binary, folder, rng):
    image = os.path.join(folder, "guest.img")
    with open(image, "wb") as file:
        file.write(boot_code(rng)[:510] + b"\x55\xaa" + rng.randbytes(2048))
        file.truncate(FLOPPY)
    desktop = Desktop(binary, folder, "--floppy", image)
    time.sleep(0.3)
    desktop.judge(may_stop=True)


def fuzz_image(binary, folder, rng):
    """Partition tables, parameter blocks and El Torito catalogs with random fields."""
    kind = rng.choice(["--floppy", "--disk", "--cdrom"])
    image = os.path.join(folder, "image")
    size = rng.choice([1, 511, 512, 513, 2048, 34816, 40960, FLOPPY, rng.randrange(1, 1 << 20)])
    contents = bytearray(size)
    if kind == "--cdrom":
        put(contents, 0x8000, b"\x01CD001\x01")
        put(contents, 0x8800, b"\x00CD001\x01EL TORITO SPECIFICATION".ljust(0x47, b"\0")
            + rng.choice([19, 0, 0xFFFFFFFF, rng.randrange(64)]).to_bytes(4, "little"))
        put(contents, 19 * 2048, b"\x01\0\0\0" + bytes(24) + b"\xaa\x55\x55\xaa"
            + b"\x88" + rng.randbytes(31))
    else:
        put(contents, 0, b"\xeb\x3c\x90" + rng.randbytes(60))
        put(contents, 446, rng.randbytes(64))
        put(contents, 510, b"\x55\xaa")
    for _ in range(rng.randrange(8)):
        contents[rng.randrange(size)] = rng.randrange(256)
    with open(image, "wb") as file:
        file.write(contents)
    desktop = Desktop(binary, folder, kind, image)
    if desktop.started:
        time.sleep(0.1)
    desktop.judge(may_stop=True)


def put(contents, offset, value):
    end = min(len(contents), offset + len(value))
    if offset < end:
        contents[offset:end] = value[:end - offset]


def fuzz_clients(binary, folder, rng):
    """Viewers and control clients that send anything at all, eight of each."""
    desktop = Desktop(binary, folder, "--guest", "echo")
    time.sleep(0.05)
    clients = []
    for _ in range(8):
        viewer = desktop.connect(desktop.vnc)
        clients.append(viewer)
        with_patience(viewer, rng.choice([
            b"", garbage(rng), b"RFB 003.008\n" + garbage(rng),
            b"RFB 003.008\n\x01\x01" + garbage(rng, 65536), b"RFB 003.003\n\x01" + garbage(rng)]))
        control = desktop.connect(desktop.control)
        clients.append(control)
        with_patience(control, rng.choice([
            garbage(rng) + b"\n", b"{" * rng.randrange(1, 50_000) + b"\n",
            b'{"v":1,"method":"type","text":"' + garbage(rng) + b'"}\n',
            b'{"v":1,"method":"screenshot"}\n' * 20, b'{"v":1,"id":' + b"9" * 400 + b"}\n"]))
        if rng.random() < 0.5:
            clients.pop(rng.randrange(len(clients))).close()
    time.sleep(0.1)
    for client in clients:
        client.close()
    desktop.judge(may_stop=False)


ENCODINGS = [0, 1, 2, 4, 5, 6, 7, 16, 17, -223, -224, -239, -240, -256, -247, -32, -23, -258, -261,
             -308, -312, -313, -316, 0x574D5664]


def viewer_message(rng):
    """A message of a viewer: well-formed more often than not, its numbers anything."""
    def number(size):
        most = 1 << 8 * size
        return rng.choice([0, 1, most - 1, rng.randrange(most)]).to_bytes(size, "big")
    kind = rng.randrange(9)
    if kind == 0:
        bits, rest = rng.choice([(8, bytes([0, 7, 0, 7, 0, 3, 0, 3, 6])),
                                 (16, bytes([0, 31, 0, 63, 0, 31, 11, 5, 0])),
                                 (32, bytes([0, 255, 0, 255, 0, 255, 16, 8, 0])),
                                 (rng.randrange(256), rng.randbytes(9))])
        return bytes([0, 0, 0, 0, bits, min(bits, 24), rng.randrange(2), 1]) + rest + bytes(3)
    if kind == 1:
        chosen = rng.sample(ENCODINGS, rng.randrange(1, 8))
        return b"\x02\x00" + len(chosen).to_bytes(2, "big") + b"".join(
            (each & 0xFFFFFFFF).to_bytes(4, "big") for each in chosen)
    if kind <= 4:
        return b"\x03" + number(1) + number(2) + number(2) + number(2) + number(2)
    if kind == 5:
        return b"\x04" + number(1) + bytes(2) + number(4)
    if kind == 6:
        return b"\x05" + number(1) + number(2) + number(2)
    if kind == 7:
        return b"\xfb\x00" + number(2) + number(2) + b"\x01\x00" + rng.randbytes(16)
    return garbage(rng, 64)


def fuzz_viewers(binary, folder, rng):
    """Viewers that are let in, and then send messages without end, and read or do not read."""
    desktop = Desktop(binary, folder, "--guest", "motion", "--memory", "64M")
    time.sleep(0.3)
    for _ in range(6):
        viewer = desktop.connect(desktop.vnc)
        viewer.setblocking(False)
        with_patience(viewer, b"RFB 003.008\n\x01\x01")
        reads = rng.random() < 0.7
        for _ in range(150):
            with_patience(viewer, viewer_message(rng))
            try:
                while reads and viewer.recv(1 << 20):
                    pass
            except OSError:
                pass
        viewer.close()
    desktop.judge(may_stop=False)


def with_patience(client, data):
    try:
        client.sendall(data)
    except OSError:
        pass


METHODS = ["status", "screenshot", "frame", "text", "type", "key", "paste", "click", "pause", "resume",
           "save", "reset", "powerdown", "subscribe", "nothing"]


def control_request(rng, folder):
    """A request: JSON more often than not, its fields of any type and value."""
    def value(depth=0):
        return rng.choice([
            lambda: rng.choice([0, 1, -1, 2 ** 63, -2 ** 63, 1e308, -0.0, 0.01, 16, 17]),
            lambda: rng.choice(["", "left", "none", "ctrl-alt-del", "a" * rng.randrange(500), "\0\ud800",
                                "é漢😀", folder + "/saved", "/", folder, "../x"]),
            lambda: rng.choice([None, True, False]),
            lambda: [value(depth + 1) for _ in range(rng.randrange(6))] if depth < 4 else [],
            lambda: {"x": value(depth + 1)} if depth < 4 else {}])()
    request = {"v": 1 if rng.random() < 0.9 else value(), "id": rng.randrange(100),
               "method": rng.choice(METHODS) if rng.random() < 0.95 else value()}
    for field in rng.sample(["text", "chord", "path", "mark", "x", "y", "times", "button", "region",
                             "scale", "stops"], rng.randrange(6)):
        request[field] = rng.randrange(720) if field in "xy" and rng.random() < 0.7 else value()
    if request.get("stops") is True:
        request["stops"] = False
    line = bytearray(json.dumps(request).encode())
    if rng.random() < 0.2:
        for _ in range(rng.randrange(1, 5)):
            line[rng.randrange(len(line))] = rng.randrange(256)
    return bytes(line) + rng.choice([b"\n", b"\n", b"\n", b"\r\n", b""])


def fuzz_control(binary, folder, rng):
    """Control clients whose requests are nearly right, in any number and order, some of which go away
    before their answer."""
    desktop = Desktop(binary, folder, "--guest", "echo")
    for _ in range(12):
        client = desktop.connect(desktop.control)
        with_patience(client, b"".join(
            control_request(rng, folder) for _ in range(rng.randrange(1, 30))))
        client.settimeout(0.02)
        try:
            while rng.random() < 0.9 and client.recv(1 << 16):
                pass
        except OSError:
            pass
        client.close()
    # A pause may be what it was asked last.
    with desktop.connect(desktop.control) as client:
        with_patience(client, b'{"v":1,"method":"resume"}\n')
    desktop.judge(may_stop=False)


def fuzz_configuration(binary, folder, rng):
    """Files of desktops with a few bytes, lines or values changed: read, or refused with a sentence."""
    environment = dict(os.environ, XDG_RUNTIME_DIR=folder, PORTHOLE_HOME=folder)

    def command(*arguments):
        return subprocess.run([binary, *arguments], env=environment, capture_output=True, timeout=20)
    if command("create", "fuzz", "--size", "1M").returncode != 0:
        raise Failure("the desktop could not be made")
    path = os.path.join(folder, "desktops", "fuzz", "desktop.yaml")
    with open(path, "rb") as file:
        whole = re.sub(rb"(?m)^# ([a-z-]+: )", rb"\1", file.read())
    pieces = [b"[", b"]", b"{", b"}", b"&a ", b"*a", b"!!int ", b"- ", b": ", b"\n", b"#", b"'", b'"', b"|\n ",
              b">\n ", b"%YAML 9.9\n", b"---\n", b"...\n", b"? ", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf",
              b"x" * 70000, b"[" * 5000, b"a: 1\n" * 4000, "é\u2028😀".encode()]
    for _ in range(40):
        contents = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(contents) + 1)
            kind = rng.randrange(4)
            if kind == 0:
                contents[at:at] = rng.choice(pieces)
            elif kind == 1:
                del contents[at:at + rng.randrange(60)]
            elif kind == 2 and at < len(contents):
                contents[at] = rng.randrange(256)
            else:
                lines = contents.split(b"\n")
                rng.shuffle(lines)
                contents = bytearray(b"\n".join(lines))
        with open(path, "wb") as file:
            file.write(contents)
        for arguments in (("show", "fuzz"), ("edit", "fuzz", "--set", "cpus=2")):
            result = command(*arguments)
            words = result.stderr.decode(errors="replace")
            if result.returncode not in (0, 1):
                raise Failure(f"{arguments}: {result.returncode}: {words}: {bytes(contents[:3000])}")
            if result.returncode == 1 and not words.startswith("Error: "):
                raise Failure(f"{arguments}: no sentence: {words}")
    if command("delete", "fuzz").returncode != 0:
        raise Failure("the desktop could not be deleted")


TARGETS = {"guest": fuzz_guest, "image": fuzz_image, "clients": fuzz_clients,
           "viewers": fuzz_viewers, "control": fuzz_control, "configuration": fuzz_configuration}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--porthole", required=True, help="the porthole binary")
    parser.add_argument("--seconds", type=float, default=20, help="how long for each target")
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--seed", type=int, help="run one round again")
    arguments = parser.parse_args()
    failures = 0
    for target in arguments.target or TARGETS:
        end = time.monotonic() + arguments.seconds
        rounds = 0
        while True:
            seed = random.SystemRandom().getrandbits(32) if arguments.seed is None else arguments.seed
            with tempfile.TemporaryDirectory(prefix="porthole-fuzz-") as folder:
                try:
                    TARGETS[target](arguments.porthole, folder, random.Random(seed))
                except Failure as failure:
                    failures += 1
                    print(f"{target}, seed {seed}: {failure}", flush=True)
            rounds += 1
            if arguments.seed is not None or time.monotonic() >= end:
                break
        print(f"{target}: {rounds} rounds")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
