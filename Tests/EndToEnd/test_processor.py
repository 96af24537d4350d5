"""The software processor beside QEMU's: the same cases, the same outcome in all that is defined.

This shows what ring 3 of the host's own processor can't: 16- and 32-bit forms, real and virtual-8086
mode, privilege, gates, tasks and page faults. Both boot one disk image, which runs the cases and sends
a record of each on the serial port.
"""

import contextlib
import os
import shutil
import struct
import subprocess
import time

import pytest

from processor import cases as generator

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = struct.Struct("<5I8I6I3I2H3I")
FIELDS = ("number vector error eip eflags eax ecx edx ebx esp ebp esi edi cs ss ds es fs gs cr0 cr2 dr6 "
          "tr ldt memory tables pages").split()
SECTORS_BEFORE = 16
MOST_CASES = 20 * 32 * 512 // generator.LAYOUT.size


@pytest.fixture(scope="session")
def runner(tmp_path_factory):
    """The program that runs cases, assembled."""
    folder = tmp_path_factory.mktemp("processor")
    source = os.path.join(HERE, "processor/runner.S")
    clang = shutil.which("clang") or os.path.join(
        os.path.dirname(os.path.realpath(shutil.which("swift"))), "clang")
    subprocess.run([clang, "--target=i386-pc-linux-gnu", "-c", source, "-o", folder / "runner.o"],
                   check=True)
    linker = shutil.which("ld.lld") or os.path.join(os.path.dirname(os.path.realpath(clang)), "ld.lld")
    subprocess.run([linker, "-m", "elf_i386", "--image-base=0x7000", "-Ttext=0x7c00", "--oformat", "binary",
                    folder / "runner.o", "-o", folder / "runner.bin"], check=True)
    program = (folder / "runner.bin").read_bytes()
    assert len(program) == SECTORS_BEFORE * 512
    return program


def image(runner, cases, path):
    data = b"".join(case.packed() for case in cases)
    assert len(cases) <= MOST_CASES
    chunks = -(-len(data) // 0x4000)
    program = runner[:0x1F0] + struct.pack("<IH", len(cases), chunks) + runner[0x1F6:]
    with open(path, "wb") as file:
        file.write(program + data)
        # Sixteen heads, 63 sectors, some cylinders.
        file.truncate(4 * 16 * 63 * 512)


def records(path):
    with open(path, "rb") as file:
        data = file.read()
    whole = len(data) // RECORD.size * RECORD.size
    return [dict(zip(FIELDS, entry)) for entry in RECORD.iter_unpack(data[:whole])]


def run(command, path, seconds, environment=None):
    """Runs until the record that says the end; gives the others."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=environment)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError):
                size = os.path.getsize(path)
                if size >= RECORD.size and size % RECORD.size == 0:
                    with open(path, "rb") as file:
                        file.seek(-RECORD.size, os.SEEK_END)
                        if file.read(4) == b"\xff\xff\xff\xff":
                            return records(path)[:-1]
            if process.poll() is not None:
                break
            time.sleep(0.05)
        return records(path) if os.path.exists(path) else []
    finally:
        process.kill()
        process.communicate()


def ours(program, folder, disk):
    path = os.path.join(folder, "ours.serial")
    return run([program, "run", "--name", "cases", "--engine", "software", "--memory", "16M", "--vnc", "none",
                "--on-triple-fault", "stop", "--serial", f"file:{path}", "--disk", disk], path, 25,
               dict(os.environ, XDG_RUNTIME_DIR=folder))


def theirs(folder, disk):
    path = os.path.join(folder, "theirs.serial")
    emulator = shutil.which("qemu-system-i386") or shutil.which("qemu-system-x86_64")
    if not emulator:
        pytest.skip("QEMU is not installed: nothing to compare the software processor with")
    return run([emulator, "-accel", "tcg", "-cpu", "qemu32", "-m", "16", "-display", "none", "-nodefaults",
                "-no-reboot", "-serial", f"file:{path}", "-drive",
                f"file={disk},format=raw,if=ide"], path, 25)


def difference(case, mine, other):
    """The fields that differ where they are defined."""
    flags = 0xFFFFFFFF & ~case.undefined
    # RF in a pushed image: the manual's faults set it, the other side's do not.
    flags &= ~0x10000
    page_fault = mine["vector"] == 14 == other["vector"]
    if page_fault and case.what in ("rcl", "rcr"):
        # The other side has changed CF and OF when the store faults.
        flags &= ~0x801
    found = []
    for name in FIELDS:
        a, b = mine[name], other[name]
        mask = case.ignored.get(name, 0xFFFFFFFF)
        if name == "eflags":
            mask &= flags
        if name == "cr2" and not page_fault:
            continue
        # An instruction that reads and writes memory asks for a page to write to; the other side reads
        # it first and notes that in the page table.
        reads_first = page_fault and mine["error"] & 2 and not other["error"] & 2
        if page_fault and (name == "pages" or reads_first and name in ("error", "cr2")):
            continue
        if (a ^ b) & mask:
            found.append(f"{name} {a:x} is {b:x} there")
    return found


@pytest.mark.without_kvm
@pytest.mark.parametrize("mode", generator.MODES)
def test_cases_end_as_under_qemu(mode, runner, program, folder):
    cases = generator.make(mode, int(os.environ.get("PORTHOLE_SEED", "1")), int(
        os.environ.get("PORTHOLE_CASES", "1000")))
    disk = os.path.join(folder, "cases.img")
    image(runner, cases, disk)
    mine, other = ours(program, folder, disk), theirs(folder, disk)
    wrong = []
    for case, a, b in zip(cases, mine, other):
        found = difference(case, a, b)
        if found:
            wrong.append(f"{a['number']}: {case}: vector {a['vector']} at {a['eip']:x}: " + ", ".join(found))
    assert not wrong, f"{len(wrong)} of {len(cases)} differ:\n" + "\n".join(wrong[:40])
    assert len(other) == len(cases), f"QEMU stopped at {cases[len(other)]}"
    assert len(mine) == len(cases), f"stopped at {cases[len(mine)]}"
