"""Debian's stock kernels, their modules, and a BusyBox to look at the machine with."""

import os
import re
import shutil
import subprocess

from tools import FIRST, GRUB, SECTOR, blank, grub_in_mbr, need, partition, put, read, run, save


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
for module in $(busybox cat /modules/order 2> /dev/null); do
  busybox insmod /modules/$module.ko || echo "no module $module" > /dev/ttyS0
done
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


def kernel_tree(work, flavour, architecture):
    """The unpacked package of Debian's stock kernel of a flavour."""
    apt = Apt(work, architecture)
    return apt.unpack(apt.depends("linux-image-" + flavour, "linux-image-"))


def kernel_image(tree):
    boot = os.path.join(tree, "boot")
    return os.path.join(boot, next(n for n in os.listdir(boot) if n.startswith("vmlinuz-")))


def kernel(flavour, architecture):
    """Debian's stock kernel of a flavour, as its package has it."""
    def build(path, work):
        shutil.copyfile(kernel_image(kernel_tree(work, flavour, architecture)), path)
    return build


def modules(tree, wanted):
    """The kernel's modules `wanted` and all that they need, in the order in which they load:
    (name, contents) each. What is built into the kernel is left out."""
    base = os.path.join(tree, "lib/modules", os.listdir(os.path.join(tree, "lib/modules"))[0])

    def plain(name):
        return os.path.basename(name).removesuffix(".ko").replace("-", "_")
    found = {plain(name): os.path.join(folder, name)
             for folder, _, names in os.walk(base) for name in names if name.endswith(".ko")}
    with open(os.path.join(base, "modules.builtin")) as file:
        builtin = {plain(line.strip()) for line in file}
    loaded = {}

    def load(name):
        if name in loaded or name in builtin:
            return
        if name not in found:
            raise RuntimeError(f"the kernel has no module {name}")
        content = read(found[name])
        for other in re.search(rb"\0depends=([^\0]*)\0", content).group(1).decode().split(","):
            if other:
                load(other.replace("-", "_"))
        loaded[name] = content
    for name in wanted:
        load(name)
    return list(loaded.items())


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


FOLDER, PROGRAM, FILE, DEVICE = 0o040755, 0o100755, 0o100644, 0o020600
NO_DEVICE = (0, 0)


def archive(path, work, architecture, init, loaded=()):
    """Writes an initramfs: BusyBox, a first program, and modules with the order of their loading."""
    tree = Apt(work, architecture).unpack("busybox-static")
    folders = ("bin", "dev", "proc", "sys", "tmp", "mnt", "modules")
    entries = [(name, FOLDER, b"", NO_DEVICE) for name in folders]
    entries += [("dev/console", DEVICE, b"", (5, 1)),
                ("bin/busybox", PROGRAM, read(os.path.join(tree, "bin/busybox")), NO_DEVICE),
                ("init", PROGRAM, init.encode(), NO_DEVICE)]
    entries += [(f"modules/{name}.ko", FILE, content, NO_DEVICE) for name, content in loaded]
    order = "\n".join(name for name, _ in loaded)
    entries.append(("modules/order", FILE, order.encode(), NO_DEVICE))
    with open(path, "wb") as file:
        file.write(cpio(entries))


def initramfs(architecture):
    """An initramfs that starts a shell on the serial port and one on the screen."""
    def build(path, work):
        archive(path, work, architecture, INIT)
    return build


# Disks and CDs with their file systems; then what else a PC has.
DISKS = ["ata_piix", "sd_mod", "crc32c_generic", "ext4"]
DEVICES = [*DISKS, "ata_generic", "sr_mod", "isofs", "vfat", "nls_cp437", "nls_ascii", "floppy",
           "bochs", "xhci_pci", "uhci_hcd", "usbhid", "hid_generic", "psmouse", "evdev", "button",
           "i2c_piix4", "pcspkr"]


def devices(flavour, architecture):
    """The same with the modules for every device that the kernel finds in the PC, kernel and
    initramfs in one folder, for a module fits its own kernel only."""
    def build(path, work):
        tree = kernel_tree(work, flavour, architecture)
        os.makedirs(path)
        shutil.copyfile(kernel_image(tree), os.path.join(path, "vmlinuz"))
        archive(os.path.join(path, "initramfs.cpio"), work, architecture, INIT,
                modules(tree, DEVICES))
    return build


# ---- A disk that boots by itself -----------------------------------------------------------------

ROOT_INIT = """\
#!/bin/busybox sh
export PATH=/bin
busybox mount -t devtmpfs devtmpfs /dev
for module in $(busybox cat /modules/order); do busybox insmod /modules/$module.ko; done
until [ -b /dev/sda1 ]; do busybox usleep 10000; done
busybox mount -t ext4 /dev/sda1 /mnt
busybox umount /dev
exec busybox switch_root /mnt /sbin/init
"""

ROOT_MENU = """\
set timeout=1
set default=0
menuentry "Debian's kernel, from the disk" {
  linux /boot/vmlinuz root=/dev/sda1 console=tty0 console=ttyS0 cryptomgr.notests
  initrd /boot/initrd.cpio
}
"""
ROOT_MIB = 64


def linux_disk(path, work):
    """A hard disk that boots by itself: GRUB in the MBR, a kernel and an initramfs that loads the
    disk's driver, and a root volume with a BusyBox."""
    need("grub-pc-bin grub-common e2fsprogs", "grub-mkimage", "mke2fs", f"{GRUB}/boot.img")
    packages = kernel_tree(work, "cloud-amd64", "amd64")
    root = os.path.join(work, "root")
    for folder in ("bin", "dev", "proc", "sys", "tmp"):
        os.makedirs(os.path.join(root, folder))
    busybox = Apt(work, "amd64").unpack("busybox-static")
    shutil.copy(os.path.join(busybox, "bin/busybox"), os.path.join(root, "bin/busybox"))
    os.chmod(save(root, "sbin/init", INIT), 0o755)
    save(root, "boot/grub/grub.cfg", ROOT_MENU)
    shutil.copyfile(kernel_image(packages), os.path.join(root, "boot/vmlinuz"))
    archive(os.path.join(root, "boot/initrd.cpio"), work, "amd64", ROOT_INIT,
            modules(packages, DISKS))
    count = ROOT_MIB * 2048
    blank(path, (FIRST + count) * SECTOR)
    grub_in_mbr(path, work, "biosdisk", "part_msdos", "ext2", "normal", "linux", "echo", "boot")
    partition(path, [(FIRST, count, 0x83)])
    part = os.path.join(work, "part.img")
    blank(part, count * SECTOR)
    run("mke2fs", "-q", "-t", "ext4", "-d", root, "-L", "PORTHOLE", part)
    put(path, FIRST * SECTOR, read(part))


def installer(path, work):
    """The graphical installer's kernel and initramfs, in one folder."""
    tree = Apt(work, "amd64").unpack("debian-installer-12-netboot-amd64")
    images = os.path.join(tree, "usr/lib/debian-installer/images/12/amd64/gtk")
    images = os.path.join(images, "debian-installer/amd64")
    os.makedirs(path)
    for name in ("linux", "initrd.gz"):
        shutil.copyfile(os.path.join(images, name), os.path.join(path, name))
