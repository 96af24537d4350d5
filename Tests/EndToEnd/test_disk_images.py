"""Disk images beside QEMU's own programs: what one of us writes the other reads, and neither finds
anything wrong with it."""

import contextlib
import json
import os
import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import FULL
from desktop import until

PORTHOLE = os.environ["PORTHOLE"]
HISTORIES = 400 if FULL else 24
SECTOR = 512


def run(*command, stdin=None, expect=0):
    done = subprocess.run([str(word) for word in command], input=stdin, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert expect is None or done.returncode == expect, \
        f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{(stdin or '')[-3000:]}"
    return done


def disk(*words, **others):
    return run(PORTHOLE, "disk", *words, **others)


class History:
    """The random life of an image: either side makes it, both write to it in turn, and a plain file
    holds what it has to show."""

    def __init__(self, seed, folder):
        self.random = random.Random(seed)
        self.folder = folder
        self.image = folder / "disk.qcow2"
        self.size = self.random.randrange(64, 4096) * SECTOR
        self.cluster = self.random.choice([512, 1024, 4096, 65536, 65536, 2 << 20])
        self.model = bytearray(self.size)
        self.snapshots = {}
        self.log = []

    def save(self, name, contents):
        path = self.folder / name
        path.write_bytes(contents)
        return path

    def make_backing(self):
        size = self.random.randrange(8, 5000) * SECTOR
        contents = bytearray(size)
        for _ in range(20):
            start = self.random.randrange(size)
            end = min(size, start + self.random.randrange(1, 60000))
            contents[start:end] = bytes([self.random.randrange(1, 256)]) * (end - start)
        raw = self.save("base.raw", contents)
        self.model[:min(size, self.size)] = contents[:self.size]
        if self.random.random() < 0.5:
            return raw, "raw"
        packed = self.folder / "base.qcow2"
        options = ["-c"] * self.random.randrange(2)
        if self.random.random() < 0.5:
            run("qemu-img", "convert", *options, "-O", "qcow2", "-o",
                f"compression_type={self.random.choice(['zlib', 'zstd'])}", raw, packed)
        else:
            disk("convert", raw, packed, *(["--compress"] if options else []), "--compression",
                 self.random.choice(["zlib", "zstd"]), "--cluster-size", self.cluster)
            run("qemu-img", "check", "-q", packed)
        return packed, "qcow2"

    def create(self):
        backing, kind = self.make_backing() if self.random.random() < 0.6 else (None, None)
        version = self.version = self.random.choice([2, 3, 3])
        if self.random.random() < 0.4:
            words = ["create", self.image, self.size, "--cluster-size", self.cluster,
                     "--qcow2-version", version]
            disk(*words, *(["--backing", backing, "--backing-format", kind] if backing else []))
            return
        options = [f"cluster_size={self.cluster}", f"compat={'0.10' if version == 2 else '1.1'}"]
        if version == 3:
            options += [f"refcount_bits={self.random.choice([1, 2, 4, 8, 16, 32, 64])}",
                        f"lazy_refcounts={self.random.choice(['on', 'off'])}",
                        f"compression_type={self.random.choice(['zlib', 'zstd'])}"]
            self.has_snapshots = "refcount_bits=1," not in ",".join(options) + ","
        run("qemu-img", "create", "-q", "-f", "qcow2", "-o", ",".join(options),
            *(["-b", backing, "-F", kind] if backing else []), self.image, self.size)

    def place(self, unit=SECTOR):
        sectors = self.size // unit
        first = self.random.randrange(sectors)
        count = min(sectors - first, self.random.choice([1, 3, 8, 60, 700]))
        return first * unit, count * unit

    def requests(self):
        """Requests in both programs' words, and the model with them done."""
        ours, theirs = [], []
        for _ in range(self.random.randrange(1, 25)):
            start, count = self.place()
            value = self.random.randrange(1, 256)
            kind = self.random.choice(["write", "write", "write", "zero", "flush", "verify"])
            if kind == "write":
                ours.append(f"write {start} {count} {value}")
                theirs.append(f"write -P {value} {start} {count}")
                self.model[start:start + count] = bytes([value]) * count
            elif kind == "zero":
                ours.append(f"zero {start} {count}")
                theirs.append(f"write -z {'-u ' * self.random.randrange(2)}{start} {count}")
                self.model[start:start + count] = bytes(count)
            elif kind == "verify":
                piece = self.model[start:start + SECTOR]
                if piece == piece[:1] * SECTOR:
                    ours.append(f"verify {start} {SECTOR} {piece[0]}")
                    theirs.append(f"read -P {piece[0]} {start} {SECTOR}")
            else:
                ours.append("flush")
                theirs.append("flush")
        return ours, theirs

    def write(self):
        ours, theirs = self.requests()
        if self.random.random() < 0.6:
            self.log += ["porthole"] + ours
            cache = self.random.choice(["writeback", "writeback", "unsafe", "none", "writethrough"])
            disk("play", self.image, "--cache", cache, stdin="\n".join(ours) + "\n")
        else:
            self.log += ["qemu-io"] + theirs
            words = [word for request in theirs for word in ("-c", request)]
            done = run("qemu-io", "-f", "qcow2", *words, self.image)
            assert "failed" not in done.stdout, f"{done.stdout}\n" + "\n".join(self.log)

    def resize(self):
        old = self.size
        self.size = self.random.randrange(64, 6000) * SECTOR
        if self.snapshots:
            self.size = max(self.size, old)
        self.model = self.model[:self.size] + bytes(max(0, self.size - old))
        self.log.append(f"resize {self.size}")
        # QEMU can't make version 2 longer over a backing file.
        if self.version == 2 or self.random.random() < 0.6:
            disk("resize", self.image, self.size, "--shrink")
        else:
            run("qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", self.image, self.size)

    def snapshot(self):
        if self.snapshots and self.random.random() < 0.4:
            name = self.random.choice(list(self.snapshots))
            self.log.append(f"delete {name}")
            run("qemu-img", "snapshot", "-d", name, self.image)
            del self.snapshots[name]
            return
        name = f"s{len(self.log)}"
        self.log.append(f"snapshot {name}")
        if run("qemu-img", "snapshot", "-c", name, self.image, expect=None).returncode == 0:
            self.snapshots[name] = bytes(self.model)

    def check(self):
        log = "\n".join(self.log)
        theirs = run("qemu-img", "check", self.image, expect=None)
        ours = disk("check", self.image, "--json", expect=None)
        assert theirs.returncode == 0, f"{theirs.stdout}\n{ours.stdout}\n{log}"
        assert ours.returncode == 0, f"{ours.stdout}\n{log}"
        model = self.save("model.raw", self.model)
        compared = run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", model, self.image,
                       expect=None)
        assert compared.returncode == 0, f"qemu-img: {compared.stdout}\n{log}"
        compared = disk("compare", "--strict", "--first-format", "raw", model, self.image,
                        expect=None)
        assert compared.returncode == 0, f"porthole: {compared.stdout}\n{log}"

    def check_snapshots(self):
        listed = json.loads(disk("snapshots", self.image, "--json").stdout)
        assert {row["name"] for row in listed} == set(self.snapshots)
        for name, contents in self.snapshots.items():
            copy = self.folder / f"{name}.raw"
            disk("convert", "--no-flush", "--snapshot", name, self.image, copy)
            assert copy.read_bytes() == contents, name + "\n" + "\n".join(self.log)

    def finish(self):
        """One of the works on whole images, which changes nothing that is shown."""
        choice = self.random.randrange(4)
        self.log.append(f"finish {choice}")
        backed = "backing" in disk("info", self.image, "--json").stdout
        if choice == 0 and backed:
            disk("flatten", self.image)
        elif choice == 1 and backed and not self.snapshots:
            (self.folder / "new.raw").write_bytes(
                self.random.randbytes(self.random.randrange(1, 3000) * SECTOR))
            disk("rebase", self.image, "--backing", self.folder / "new.raw")
        elif choice == 2 and backed and not self.snapshots:
            disk("commit", self.image)
        else:
            copy = self.folder / "copy.qcow2"
            disk("convert", "--no-flush", self.image, copy,
                 *(["--compress"] * self.random.randrange(2)))
            self.image, self.snapshots = copy, {}
        self.check()

    def live(self):
        self.has_snapshots = True
        self.create()
        for _ in range(self.random.randrange(1, 4)):
            step = self.random.random()
            if step < 0.2:
                self.resize()
            elif step < 0.4 and self.has_snapshots:
                self.snapshot()
            self.write()
        self.check()
        self.check_snapshots()
        self.finish()


@pytest.mark.limit(1800 if FULL else 60)
@pytest.mark.parametrize("part", range(4))
def test_random_histories_agree_with_qemu(tmp_path, part):
    def live(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        history = History(number, folder)
        try:
            history.live()
        except AssertionError as error:
            raise AssertionError(f"history {number}: {error}") from error
        for path in folder.iterdir():
            path.unlink()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(live, range(part, HISTORIES, 4)))


# ---- Two programs at one image ----


@pytest.fixture(params=["raw", "qcow2"])
def image(tmp_path, request):
    path = tmp_path / f"disk.{request.param}"
    disk("create", path, 1 << 20, "--format", request.param)
    return path


def holding(*command):
    """A program that has an image open until its input ends."""
    return subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for_lock(process, path):
    inode = os.stat(path).st_ino
    for _ in range(500):
        with open("/proc/locks") as file:
            if any(f":{inode} " in line for line in file):
                return
        time.sleep(0.01)
    raise AssertionError(process.communicate("")[0])


def test_qemu_keeps_out_of_an_image_that_we_write(image):
    with holding(PORTHOLE, "disk", "play", image) as ours:
        wait_for_lock(ours, image)
        for command in (("qemu-io", "-c", "write 0 512"), ("qemu-io", "-r", "-c", "read 0 512")):
            done = run(*command, image, expect=None)
            assert done.returncode != 0 and "lock" in done.stdout, done.stdout
        assert "in use" in disk("check", image, expect=1).stdout
        ours.communicate("")
    run("qemu-io", "-c", "write 0 512", image)


def test_we_keep_out_of_an_image_that_qemu_writes(image):
    with holding("qemu-io", image) as theirs:
        wait_for_lock(theirs, image)
        assert "in use" in disk("play", image, stdin="", expect=1).stdout
        assert "in use" in disk("compare", image, image, expect=1).stdout
        theirs.communicate("")
    disk("play", image, stdin="write 0 512 1\n")


def test_readers_share_and_backing_files_are_kept_from_writers(tmp_path, image):
    overlay = tmp_path / "desk.qcow2"
    disk("create", overlay, "--backing", image)
    with holding(PORTHOLE, "disk", "play", overlay) as ours:
        wait_for_lock(ours, image)
        run("qemu-io", "-r", "-c", "read 0 512", image)
        done = run("qemu-io", "-c", "write 0 512", image, expect=None)
        assert "lock" in done.stdout, done.stdout
        assert "in use" in disk("play", image, stdin="", expect=1).stdout
        ours.communicate("")


# ---- What a user sees ----


def test_the_commands_tell_what_they_did(tmp_path):
    base, desk = tmp_path / "base.img", tmp_path / "desk.qcow2"
    base.write_bytes(b"\x05" * 65536 + bytes(65536))
    disk("create", desk, "1M", "--backing", base)
    facts = json.loads(disk("info", desk, "--json").stdout)
    assert (facts["format"], facts["virtualSize"], facts["backing"], facts["backingFormat"]) == \
        ("qcow2", 1 << 20, "base.img", "raw")
    assert [link["format"] for link in json.loads(disk("info", desk, "--chain", "--json").stdout)] \
        == ["qcow2", "raw"]
    disk("play", desk, stdin="write 65536 65536 9\n")
    rows = json.loads(disk("map", desk, "--json").stdout)
    assert [(row["start"], row["length"], row["kind"], row["depth"]) for row in rows] == \
        [(0, 65536, "data", 1), (65536, 65536, "data", 0), (131072, 917504, "zero", 0)]
    assert "there already" in disk("create", desk, "1M", expect=1).stdout
    assert "they differ from byte 65536 on" in disk("compare", desk, base, expect=2).stdout
    assert "--shrink" in disk("resize", desk, "512K", expect=1).stdout
    disk("resize", desk, "+1M")
    disk("flatten", desk)
    assert "backing" not in json.loads(disk("info", desk, "--json").stdout)
    assert "sound" in disk("check", desk).stdout
    assert sorted(os.listdir(tmp_path)) == ["base.img", "desk.qcow2"]


def test_check_ends_with_what_it_found(tmp_path):
    path = tmp_path / "disk.qcow2"
    disk("create", path, "1M")
    contents = bytearray(path.read_bytes())
    contents[0x20000 + 100:0x20000 + 102] = b"\0\1"
    path.write_bytes(contents)
    assert "1 clusters are counted as used, and are not" in disk("check", path, expect=3).stdout
    disk("check", path, "--repair")
    run("qemu-img", "check", path)
    contents[0x20000 + 4:0x20000 + 6] = b"\0\0"
    path.write_bytes(contents)
    assert disk("check", path, expect=2).stdout


def test_bitmaps_are_kept_until_the_data_changes(tmp_path):
    path = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "64M")
    run("qemu-io", "-c", "write -P 7 0 1M", path)
    run("qemu-img", "bitmap", "--add", path, "changes")
    run("qemu-io", "-c", "write -P 8 1M 1M", path)

    def bitmaps():
        # It warns of bitmaps that are out of date.
        text = run("qemu-img", "info", "--output=json", path).stdout
        facts = json.loads(text[text.index("{"):])
        return [entry["name"] for entry in facts["format-specific"]["data"].get("bitmaps", [])]

    assert "sound" in disk("check", path, "--repair").stdout
    disk("play", path, stdin="verify 1048576 512 8\n")
    run("qemu-img", "check", path)
    assert bitmaps() == ["changes"]
    disk("play", path, stdin="write 0 512 9\n")
    assert bitmaps() == []
    disk("check", path, "--repair")
    run("qemu-img", "check", path)
    run("qemu-io", "-c", "read -P 9 0 512", "-c", "read -P 8 1M 1M", path)


def test_a_full_file_system_leaves_no_half_made_image(tmp_path):
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(4 << 20))
    with small_file_system(tmp_path / "small", 1) as small:
        assert "no space" in disk("convert", source, small / "copy.qcow2", expect=1).stdout.lower()
        assert os.listdir(small) == []


@contextlib.contextmanager
def small_file_system(folder, mebibytes):
    """A file system with that much room, where the host lets us make one."""
    folder.mkdir()
    made = run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none", folder, expect=None)
    if made.returncode != 0:
        pytest.skip(f"no file system can be made here: {made.stdout}")
    try:
        yield folder
    finally:
        run("umount", "-l", folder)


# ---- A host without room ----

# Boot sectors that fill 32 KiB with 5Ah and write them 64 times, one behind the other, by INT 13h
# function 43h or by ATA's WRITE SECTORS. On the serial port they say S, a dot a write or E where one
# fails, and D in the end.
WRITERS = {
    "int13": bytes.fromhex(
        "fa31c08ed88ec08ed0bc007cfbfcbf0080b05ab90080f3aabafb03b003eebaf803b053eebd4000b8"
        "0043b280be4b7ccd137204b02eeb02b045baf803ee8306537c404d75e2b044eef4ebfd1000400000"
        "8000000000000000000000"),
    "ide": bytes.fromhex(
        "fa31c08ed88ec08ed0bc007cfbfcbf0080b05ab90080f3aabafb03b003eebaf803b053eebd4000ba"
        "f601b0e0eebaf201b040ee42a08f7cee42a0907cee4230c0eebaf701b030eebb4000e83100a82175"
        "19baf001be0080b90001f36f4b75ebe81c00a8217504b02eeb02b045baf803ee83068f7c404d75af"
        "b044eef4ebfdbaf701eca88075fbc310004000008000000000000000000000"),
}


@pytest.mark.without_kvm
@pytest.mark.parametrize("way, format", [("int13", "raw"), ("ide", "qcow2")])
def test_a_desktop_waits_for_room_and_goes_on(tmp_path, desktops, way, format):
    boot = tmp_path / "boot.img"
    boot.write_bytes(WRITERS[way].ljust(510, b"\0") + b"\x55\xaa" + bytes(1474560 - 512))
    serial = tmp_path / "serial"
    with small_file_system(tmp_path / "small", 1) as small:
        image = small / f"disk.{format}"
        disk("create", image, "8M", "--format", format)
        desktop = desktops("--floppy", boot, "--disk", image, "--boot", "floppy", "--engine",
                           "software", "--serial", f"file:{serial}")
        until(lambda: state(desktop) == "no-room", 20, "the desktop waits for room")
        time.sleep(1.2)
        said = serial.read_text()
        assert state(desktop) == "no-room" and set(said) <= set("S."), said
        run("mount", "-o", "remount,size=16m", small)
        until(lambda: "D" in serial.read_text(), 20, "the guest is done")
        assert serial.read_text() == "S" + "." * 64 + "D"
        assert state(desktop) == "running"
        desktop.run("stop")
        desktop.ended()
        copy = tmp_path / "copy.raw"
        disk("convert", "--no-flush", image, copy)
        assert copy.read_bytes() == (b"\x5a" * (2 << 20)).ljust(8 << 20, b"\0")
        run("qemu-img", "check", image) if format == "qcow2" else None


def state(desktop):
    listed = json.loads(desktop.command.good("list", "--json"))
    return next(entry["state"] for entry in listed if entry["name"] == desktop.name)


def test_what_a_killed_process_wrote_is_there_after_a_while(tmp_path):
    image = tmp_path / "disk.qcow2"
    disk("create", image, "8M")
    process = holding(PORTHOLE, "disk", "play", image)
    process.stdin.write("write 0 1048576 7\n")
    process.stdin.flush()
    time.sleep(4.5)
    process.kill()
    process.communicate()
    assert disk("check", image, expect=None).returncode in (0, 3)
    disk("play", image, stdin="verify 0 1048576 7\n")
