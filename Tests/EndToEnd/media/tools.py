"""What the makers of boot media share: running programs, images, partitions and FAT volumes."""

import os
import shutil
import struct
import subprocess
import tempfile

SECTOR = 512
GRUB = "/usr/lib/grub/i386-pc"
# Partitions begin at the first MiB, as every partitioning program has it today.
FIRST = 2048
HEADS, TRACK = 255, 63


class Missing(Exception):
    """A tool or file that a package would bring."""


def need(package, *paths):
    """Checks that every path (or program, where it has no slash) is there."""
    for path in paths:
        found = os.path.exists(path) if "/" in path else tool(path)
        if not found:
            raise Missing(f"{path} is missing: apt-get install {package}")


def tool(name):
    """The program `name`, also where only root's PATH has it."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def run(*command, **options):
    """Runs a program quietly; its output is the error's text."""
    command = [tool(command[0]) or command[0], *command[1:]]
    environment = dict(os.environ, MTOOLS_SKIP_CHECK="1", LC_ALL="C", SOURCE_DATE_EPOCH="1")
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, **options)
    if result.returncode:
        text = result.stdout.decode(errors="replace").strip()
        raise RuntimeError(f"{' '.join(command)} failed: {text}")


def blank(path, size):
    with open(path, "wb") as image:
        image.truncate(size)


def put(path, offset, data):
    with open(path, "r+b") as image:
        image.seek(offset)
        image.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def save(folder, name, text):
    """A file with `text`; its path."""
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", newline="") as file:
        file.write(text)
    return path


def address(sector):
    """A sector's address as a partition table has it."""
    cylinder, rest = divmod(sector, HEADS * TRACK)
    if cylinder > 1023:
        return b"\xfe\xff\xff"
    head, number = divmod(rest, TRACK)
    return bytes([head, (number + 1) | cylinder >> 2 & 0xC0, cylinder & 0xFF])


def partition(path, parts):
    """Writes a partition table: (first sector, count, type) each; the first is active."""
    table = b""
    for index, (first, count, kind) in enumerate(parts):
        table += bytes([0x80 if index == 0 else 0]) + address(first)
        table += bytes([kind]) + address(first + count - 1) + struct.pack("<II", first, count)
    put(path, 0x1BE, table.ljust(64, b"\0") + b"\x55\xaa")


def fat(path, first, count, label, message=None):
    """Makes a FAT volume of `count` sectors at `first`; `message` is what its boot sector says."""
    with tempfile.TemporaryDirectory() as folder:
        options = []
        if message:
            options = ["-m", save(folder, "message.txt", message)]
        part = os.path.join(folder, "part.img")
        blank(part, count * SECTOR)
        run("mkfs.fat", "-g", f"{HEADS}/{TRACK}", "-h", str(first), "-n", label,
            "-i", "504f5254", *options, part)
        put(path, first * SECTOR, read(part))


def copy(image, offset, files):
    """Copies (source, target) into the FAT volume at `offset`, making folders."""
    volume = f"{image}@@{offset}"
    made = set()
    for source, target in files:
        parts = target.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in made:
                run("mmd", "-i", volume, f"::/{folder}")
                made.add(folder)
        run("mcopy", "-o", "-i", volume, source, f"::/{target}")


def grub_in_mbr(path, work, *modules):
    """Puts GRUB into a disk's boot sector and the sectors behind it; its menu is the first partition's
    /boot/grub."""
    core = os.path.join(work, "core.img")
    run("grub-mkimage", "-d", GRUB, "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", core,
        *modules)
    code = read(core)
    if len(code) > (FIRST - 1) * SECTOR:
        raise RuntimeError("GRUB's core image does not fit before the first partition")
    # The boot sector loads the core image from sector 1 on, which loads its own rest.
    put(path, 0, read(f"{GRUB}/boot.img")[:440])
    put(path, SECTOR, code)
