"""SeaBIOS as Debian packages it, unmodified: it finds the chipset and boots what is in the drives."""

import pytest

GRUB = r"GNU GRUB +version 2"


@pytest.mark.parametrize("drive, image, text", [
    ("--cdrom", "grub-cd.iso", GRUB), ("--disk", "grub-disk.img", GRUB),
    ("--floppy", "grub-floppy.img", r"Hello from GRUB on a floppy\.")])
def test_seabios_boots_grub(desktops, media, drive, image, text):
    desktop = desktops(
        "--firmware", "seabios", "--engine", "software", drive, media(image), "--read-only")
    desktop.wait_text(text, 60)


def test_seabios_finds_nothing_to_boot_and_says_so(desktops):
    desktop = desktops("--firmware", "seabios", "--engine", "software")
    desktop.wait_text(r"No bootable device", 60)
