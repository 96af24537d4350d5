#!/usr/bin/env python3
"""Makes the boot media that the end-to-end tests run, from Debian's packages.

    build.py [--folder FOLDER] [MEDIUM...]

They go to ${XDG_CACHE_HOME:-~/.cache}/porthole/media unless another folder is named. A medium that
is there and was made by this very script is left alone. Needs neither root nor loop devices. Prints
one line for each medium, and ends with 1 where one could not be made.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile

SECTOR = 512
GRUB = "/usr/lib/grub/i386-pc"
SYSLINUX = "/usr/lib/syslinux"
# Partitions begin at the first MiB, as every partitioning program has it today.
FIRST = 2048
HEADS, TRACK = 255, 63

GRUB_MENU = """\
set timeout=-1
set default=0
set color_normal=light-gray/black

menuentry "Porthole: say hello" {
  echo "Hello from GRUB."
  echo "Press a key."
  read answer
}
menuentry "Porthole: graphics at 1024x768" {
  insmod all_video
  insmod font
  insmod gfxterm
  loadfont $prefix/fonts/porthole.pf2
  set gfxmode=1024x768x32,1024x768
  terminal_output gfxterm
}
menuentry "Porthole: restart" {
  reboot
}
"""

SYSLINUX_MENU = """\
UI menu.c32
PROMPT 0
TIMEOUT 0
MENU TITLE Porthole boot menu

LABEL hello
  MENU LABEL Say hello
  COM32 cat.c32
  APPEND hello.txt

LABEL memory
  MENU LABEL Show the memory map
  COM32 meminfo.c32

LABEL restart
  MENU LABEL Restart
  COM32 reboot.c32
"""

HELLO = "Hello from syslinux.\r\n"


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


# ---- GRUB ----------------------------------------------------------------------------------------

GRUB_PACKAGES = "grub-pc-bin grub-common xorriso mtools dosfstools"


def grub_font():
    need("grub-common", "/usr/share/grub/unicode.pf2")
    return "/usr/share/grub/unicode.pf2"


def grub_cd(path, work):
    need(GRUB_PACKAGES, "grub-mkrescue", "xorriso", "mformat", f"{GRUB}/boot.img")
    tree = os.path.join(work, "tree")
    save(tree, "boot/grub/grub.cfg", GRUB_MENU)
    os.makedirs(os.path.join(tree, "boot/grub/fonts"))
    shutil.copy(grub_font(), os.path.join(tree, "boot/grub/fonts/porthole.pf2"))
    run("grub-mkrescue", "-d", GRUB, "--fonts=", "--themes=", "--locales=", "-o", path, tree)


def grub_disk(path, work):
    need(GRUB_PACKAGES, "grub-mkimage", "mkfs.fat", "mcopy", f"{GRUB}/boot.img")
    count = 32 * 2048
    blank(path, (FIRST + count) * SECTOR)
    core = os.path.join(work, "core.img")
    run("grub-mkimage", "-d", GRUB, "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", core,
        "biosdisk", "part_msdos", "fat", "normal")
    code = read(core)
    if len(code) > (FIRST - 1) * SECTOR:
        raise RuntimeError("GRUB's core image does not fit before the first partition")
    # The boot sector loads the core image from sector 1 on, which loads its own rest.
    put(path, 0, read(f"{GRUB}/boot.img")[:440])
    put(path, SECTOR, code)
    partition(path, [(FIRST, count, 0x0E)])
    fat(path, FIRST, count, "PORTHOLE")
    modules = sorted(
        name for name in os.listdir(GRUB) if name.endswith((".mod", ".lst")))
    files = [(save(work, "grub.cfg", GRUB_MENU), "boot/grub/grub.cfg"),
             (grub_font(), "boot/grub/fonts/porthole.pf2")]
    files += [(f"{GRUB}/{name}", f"boot/grub/i386-pc/{name}") for name in modules]
    volume = f"{path}@@{FIRST * SECTOR}"
    copy(path, FIRST * SECTOR, files[:2])
    run("mmd", "-i", volume, "::/boot/grub/i386-pc")
    run("mcopy", "-i", volume, *[source for source, _ in files[2:]], "::/boot/grub/i386-pc/")


# ---- memtest86+ ----------------------------------------------------------------------------------


def memtest(name):
    def build(path, work):
        source = f"/usr/lib/memtest86+/memtest86+{name}.iso"
        need("memtest86+", source)
        shutil.copyfile(source, path)
    return build


# ---- syslinux ------------------------------------------------------------------------------------

SYSLINUX_PACKAGES = "syslinux syslinux-common mtools dosfstools"


def syslinux_files(work):
    need(SYSLINUX_PACKAGES, "syslinux", "mcopy", "mkfs.fat")
    names = ["menu.c32", "libutil.c32", "libcom32.c32", "cat.c32", "meminfo.c32", "reboot.c32"]
    modules = [f"{SYSLINUX}/modules/bios/{name}" for name in names]
    need(SYSLINUX_PACKAGES, *modules)
    return [(save(work, "syslinux.cfg", SYSLINUX_MENU), "syslinux.cfg"),
            (save(work, "hello.txt", HELLO), "hello.txt")] + [
                (module, os.path.basename(module)) for module in modules]


def syslinux_floppy(path, work):
    files = syslinux_files(work)
    blank(path, 2880 * SECTOR)
    run("mkfs.fat", "-F", "12", "-n", "PORTHOLE", "-i", "504f5254", path)
    copy(path, 0, files)
    run("syslinux", "--install", path)


def syslinux_disk(path, work):
    files = syslinux_files(work)
    need(SYSLINUX_PACKAGES, f"{SYSLINUX}/mbr/mbr.bin")
    count = 16 * 2048
    blank(path, (FIRST + count) * SECTOR)
    put(path, 0, read(f"{SYSLINUX}/mbr/mbr.bin"))
    partition(path, [(FIRST, count, 0x0E)])
    fat(path, FIRST, count, "PORTHOLE")
    copy(path, FIRST * SECTOR, files)
    run("syslinux", "--install", "--offset", str(FIRST * SECTOR), path)


# ---- mbr -----------------------------------------------------------------------------------------


def mbr_disk(path, work):
    need("mbr dosfstools", "install-mbr", "mkfs.fat")
    count = 8 * 2048
    blank(path, (FIRST + 2 * count) * SECTOR)
    partition(path, [(FIRST, count, 0x0E), (FIRST + count, count, 0x0E)])
    for index in range(2):
        text = f"\r\nPorthole booted partition {index + 1}. Press a key.\r\n"
        fat(path, FIRST + index * count, count, f"PART{index + 1}", text)
    # The prompt "MBR 12FA:" is always there and waits; Return boots the first partition.
    run("install-mbr", "--force", "--partition", "1", "--enable", "=12FA", "--interrupt", "=a", path)


# ---- Debian's kernels, and an initramfs with a shell ----------------------------------------------

# The last Debian that has kernels for processors without PAE, so the same on every host.
RELEASE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
USUAL_MIRROR = "http://deb.debian.org/debian"

INIT = """\
#!/bin/busybox sh
export PATH=/bin HOME=/ TERM=linux PS1='guest# '
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
echo "Porthole guest ready" > /dev/ttyS0
echo "Porthole guest ready" > /dev/tty1
busybox --install -s /bin
# A shell that ends is followed by another; each has its terminal to itself.
serve() { while :; do setsid sh -c "exec sh -i < $1 > $1 2>&1"; done; }
serve /dev/tty1 &
serve /dev/ttyS0
"""


class Apt:
    """APT with settings and lists of its own, for packages of an architecture that this system may
    not even have."""

    def __init__(self, folder, architecture):
        need("apt dpkg debian-archive-keyring", "apt-get", "apt-cache", "dpkg-deb", KEYRING)
        self.folder = os.path.join(folder, "apt-" + architecture)
        os.makedirs(os.path.join(self.folder, "state/lists/partial"), exist_ok=True)
        os.makedirs(os.path.join(self.folder, "cache/archives/partial"), exist_ok=True)
        save(self.folder, "status", "")
        sources = save(self.folder, "sources.list",
                       f"deb [signed-by={KEYRING}] {self.mirror()} {RELEASE} main\n")
        settings = {
            "Dir::State": os.path.join(self.folder, "state"),
            "Dir::State::status": os.path.join(self.folder, "status"),
            "Dir::Cache": os.path.join(self.folder, "cache"),
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "-",
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
            "Acquire::Languages": "none",
        }
        self.options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        run("apt-get", *self.options, "-q", "update")

    @staticmethod
    def mirror():
        """The mirror that this system takes Debian from."""
        found = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages",
             "Origin: Debian", "Component: main"], capture_output=True, text=True).stdout.split()
        ordinary = [address for address in found if "security" not in address]
        return ordinary[0] if ordinary else USUAL_MIRROR

    def depends(self, package, prefix):
        """The package, starting with `prefix`, that the meta package `package` stands for."""
        listed = subprocess.run(
            ["apt-cache", *self.options, "depends", package], capture_output=True, text=True).stdout
        for line in listed.splitlines():
            words = line.split()
            if words[:1] == ["Depends:"] and words[1].startswith(prefix):
                return words[1]
        raise RuntimeError(f"{RELEASE} has no package {package}")

    def unpack(self, package):
        """Downloads and unpacks `package`; the folder."""
        tree = os.path.join(self.folder, package)
        run("apt-get", *self.options, "-q", "download", package, cwd=self.folder)
        archives = [name for name in os.listdir(self.folder)
                    if name.startswith(package + "_") and name.endswith(".deb")]
        run("dpkg-deb", "-x", os.path.join(self.folder, archives[0]), tree)
        return tree


def kernel(flavour, architecture):
    """Debian's stock kernel of a flavour, as its package has it."""
    def build(path, work):
        apt = Apt(work, architecture)
        tree = apt.unpack(apt.depends("linux-image-" + flavour, "linux-image-"))
        boot = os.path.join(tree, "boot")
        images = [name for name in os.listdir(boot) if name.startswith("vmlinuz-")]
        shutil.copyfile(os.path.join(boot, images[0]), path)
    return build


def cpio(entries):
    """An archive as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format):
    (name, mode, content, device) each."""
    archive = b""
    for number, (name, mode, content, device) in enumerate(
            [*entries, ("TRAILER!!!", 0, b"", (0, 0))], start=1):
        name = name.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name), 0]
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        archive += b"\0" * (-len(archive) % 4) + content
        archive += b"\0" * (-len(archive) % 4)
    return archive


def initramfs(architecture):
    """BusyBox, and an init that starts a shell on the serial port and one on the screen."""
    def build(path, work):
        tree = Apt(work, architecture).unpack("busybox-static")
        folder, program, device = 0o040755, 0o100755, 0o020600
        none = (0, 0)
        entries = [(name, folder, b"", none) for name in ("bin", "dev", "proc", "sys", "tmp")]
        entries += [("dev/console", device, b"", (5, 1)),
                    ("bin/busybox", program, read(os.path.join(tree, "bin/busybox")), none),
                    ("init", program, INIT.encode(), none)]
        with open(path, "wb") as file:
            file.write(cpio(entries))
    return build


MEDIA = {
    "grub-cd.iso": grub_cd,
    "grub-disk.img": grub_disk,
    "memtest-ia32.iso": memtest("ia32"),
    "memtest-x64.iso": memtest("x64"),
    "syslinux-floppy.img": syslinux_floppy,
    "syslinux-disk.img": syslinux_disk,
    "mbr-disk.img": mbr_disk,
    "vmlinuz-cloud-amd64": kernel("cloud-amd64", "amd64"),
    "vmlinuz-686": kernel("686", "i386"),
    "vmlinuz-686-pae": kernel("686-pae", "i386"),
    "initramfs-amd64.cpio": initramfs("amd64"),
    "initramfs-i386.cpio": initramfs("i386"),
}


def stamp():
    """Changes with this script."""
    return hashlib.sha256(read(os.path.abspath(__file__))).hexdigest()


def make(folder, name):
    """Makes one medium unless it is there; a line that tells."""
    path = os.path.join(folder, name)
    mark = os.path.join(folder, f".{name}.made-by")
    if os.path.exists(path) and os.path.exists(mark) and read(mark).decode() == stamp():
        return f"{path}: there already"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        image = os.path.join(work, name)
        MEDIA[name](image, work)
        os.replace(image, path)
    with open(mark, "w") as file:
        file.write(stamp())
    return f"{path}: made, {os.path.getsize(path) / (1 << 20):.1f} MiB"


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parser = argparse.ArgumentParser(description="Makes the end-to-end tests' boot media.")
    parser.add_argument("--folder", default=os.path.join(cache, "porthole", "media"))
    parser.add_argument("media", nargs="*", metavar="MEDIUM", help=", ".join(MEDIA))
    options = parser.parse_args()
    unknown = [name for name in options.media if name not in MEDIA]
    if unknown:
        parser.error(f"there is no medium {unknown[0]}; there are {', '.join(MEDIA)}")
    os.makedirs(options.folder, exist_ok=True)
    failed = False
    with open(os.path.join(options.folder, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in options.media or MEDIA:
            try:
                print(make(options.folder, name), flush=True)
            except (Missing, RuntimeError, OSError) as problem:
                print(f"{name}: not made: {problem}", flush=True)
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
