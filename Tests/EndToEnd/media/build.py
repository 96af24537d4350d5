#!/usr/bin/env python3
"""Makes the boot media that the end-to-end tests run, from Debian's packages.

    build.py [--folder FOLDER] [MEDIUM...]

They go to ${XDG_CACHE_HOME:-~/.cache}/porthole/media unless another folder is named. A medium that
is there and was made by these very scripts is left alone. Needs neither root nor loop devices. Prints
one line for each medium, and ends with 1 where one could not be made.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile

from linux import devices, initramfs, installer, kernel, linux_disk
from others import others
from tools import (FIRST, GRUB, SECTOR, Missing, blank, copy, fat, grub_in_mbr, need, partition,
                   put, read, run, save)

SYSLINUX = "/usr/lib/syslinux"

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

GRUB_EFI = """\
terminal_output console
echo "Hello from GRUB as a UEFI program on a %s."
read answer
halt
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
    grub_in_mbr(path, work, "biosdisk", "part_msdos", "fat", "normal")
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


def grub_floppy(path, work):
    """A diskette that is all GRUB: what it is to do stands in its core image."""
    need(GRUB_PACKAGES, "grub-mkimage", f"{GRUB}/boot.img")
    blank(path, 2880 * SECTOR)
    settings = save(work, "early.cfg", 'echo "Hello from GRUB on a floppy."\nread answer\n')
    core = os.path.join(work, "core.img")
    run("grub-mkimage", "-d", GRUB, "-O", "i386-pc", "-p", "(fd0)/boot/grub", "-c", settings,
        "-o", core, "biosdisk", "echo", "read")
    put(path, 0, read(f"{GRUB}/boot.img"))
    put(path, SECTOR, read(core))


def grub_efi(path, work, medium):
    """Makes `path` a disk of 8 MiB with an EFI system partition, in which GRUB is the program that is
    started where nothing is set up."""
    modules = "/usr/lib/grub/x86_64-efi"
    need("grub-efi-amd64-bin grub-common mtools dosfstools", "grub-mkimage", "mkfs.fat", "mcopy",
         f"{modules}/normal.mod")
    count = 8 * 2048
    blank(path, (FIRST + count) * SECTOR)
    program = os.path.join(work, "BOOTX64.EFI")
    settings = save(work, "early.cfg", GRUB_EFI % medium)
    run("grub-mkimage", "-d", modules, "-O", "x86_64-efi", "-p", "/boot/grub", "-c", settings,
        "-o", program, "part_msdos", "fat", "normal", "echo", "read", "halt")
    partition(path, [(FIRST, count, 0xEF)])
    fat(path, FIRST, count, "PORTHOLE")
    copy(path, FIRST * SECTOR, [(program, "EFI/BOOT/BOOTX64.EFI")])


def grub_efi_disk(path, work):
    grub_efi(path, work, "disk")


def grub_efi_cd(path, work):
    """A CD whose El Torito entry for UEFI is such a partition."""
    need(GRUB_PACKAGES, "xorriso")
    disk = os.path.join(work, "disk.img")
    grub_efi(disk, work, "CD")
    tree = os.path.join(work, "tree")
    os.makedirs(tree)
    with open(os.path.join(tree, "efi.img"), "wb") as file:
        file.write(read(disk)[FIRST * SECTOR:])
    run("xorriso", "-as", "mkisofs", "-o", path, "-e", "efi.img", "-no-emul-boot", tree)


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


MEDIA = {
    "grub-cd.iso": grub_cd,
    "grub-disk.img": grub_disk,
    "grub-floppy.img": grub_floppy,
    "grub-efi.img": grub_efi_disk,
    "grub-efi.iso": grub_efi_cd,
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
    "linux-amd64": devices("amd64", "amd64"),
    "linux-686": devices("686", "i386"),
    "linux-686-pae": devices("686-pae", "i386"),
    "linux-disk.img": linux_disk,
    "installer": installer,
    "others": others,
}


def stamp():
    """Changes with these scripts."""
    folder = os.path.dirname(os.path.abspath(__file__))
    names = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
    return hashlib.sha256(b"".join(read(os.path.join(folder, name)) for name in names)).hexdigest()


def size(path):
    """What a file holds, or all files of a folder."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))


def make(folder, name):
    """Makes one medium unless it is there; a line that tells."""
    path = os.path.join(folder, name)
    mark = os.path.join(folder, f".{name}.made-by")
    if os.path.exists(path) and os.path.exists(mark) and read(mark).decode() == stamp():
        return f"{path}: there already"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        image = os.path.join(work, name)
        MEDIA[name](image, work)
        if os.path.isdir(path):
            shutil.rmtree(path)
        os.replace(image, path)
    with open(mark, "w") as file:
        file.write(stamp())
    return f"{path}: made, {size(path) / (1 << 20):.1f} MiB"


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
