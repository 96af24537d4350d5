"""Guests of other makers, as Debian packages them: a game, a microkernel, network boot code, and a CD of
ISOLINUX with its menus, tools and MEMDISK."""

import os
import shutil

from linux import Apt
from tools import blank, need, run, save

SYSLINUX = "/usr/lib/syslinux"
MENU = """\
UI vesamenu.c32
MENU TITLE Porthole
LABEL hdt
  COM32 hdt.c32
LABEL memdisk
  KERNEL memdisk
  INITRD floppy.img
"""
# A boot sector that says so by INT 10h, and stops.
SAYS = (bytes.fromhex("31c08ed8be187cac84c07406b40ecd10ebf5f4ebfd").ljust(0x18, b"\x90")
        + b"This is the floppy in memory.\0")


def others(path, work):
    """A folder with `ipxe.lkrn`, `invaders.exec`, `gnumach.gz` and `isolinux.iso`."""
    need("syslinux-common xorriso", "xorriso", f"{SYSLINUX}/modules/bios/hdt.c32",
         f"{SYSLINUX}/memdisk")
    apt = Apt(work, "amd64")
    os.makedirs(path)
    for package, source, name in (
            ("ipxe", "boot/ipxe.lkrn", "ipxe.lkrn"),
            ("grub-invaders", "boot/invaders.exec", "invaders.exec"),
            ("gnumach-image-1.8-486", "boot/gnumach-1.8-486.gz", "gnumach.gz")):
        shutil.copyfile(os.path.join(apt.unpack(package), source), os.path.join(path, name))
    tree = os.path.join(work, "tree")
    save(tree, "isolinux.cfg", MENU)
    loader = os.path.join(apt.unpack("isolinux"), "usr/lib/ISOLINUX/isolinux.bin")
    shutil.copy(loader, tree)
    shutil.copy(f"{SYSLINUX}/memdisk", tree)
    modules = f"{SYSLINUX}/modules/bios"
    for name in os.listdir(modules):
        shutil.copy(os.path.join(modules, name), tree)
    floppy = os.path.join(tree, "floppy.img")
    blank(floppy, 1_474_560)
    with open(floppy, "r+b") as file:
        file.write(SAYS.ljust(510, b"\0") + b"\x55\xaa")
    run("xorriso", "-as", "mkisofs", "-o", os.path.join(path, "isolinux.iso"), "-b", "isolinux.bin",
        "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", tree)
