"""Disk images, without a guest and with one: requests, copies, and what opening a large one takes."""

import json
import os
import random
import shutil
import statistics
import subprocess
import time

MIB = 1 << 20
# Bytes of the images that requests go to, and how many requests there are.
IMAGE_MIB = 256
REQUESTS = 40_000
# From one request to the next where they are scattered.
STRIDE = MIB + 4096
COPY_MIB = 512
TEXT_MIB = 64


def measure_disk_images(porthole, folder, quick):
    """Our rows and QEMU's."""
    runs = 3 if quick else 5
    ours, theirs = {}, {}
    for format in ("raw", "qcow2"):
        for row, options in rows_of_requests(format):
            path = os.path.join(folder, f"requests.{format}")
            ours[row] = ("1000/s", best(runs, lambda: our_requests(porthole, path, format, *options)))
            theirs[row] = ("1000/s", best(runs, lambda: their_requests(path, format, *options)))
            if shutil.which("fio"):
                # The same requests to the same file, with nothing between them and the host.
                beside = row.replace("image,", "image beside fio,")
                ours[beside] = ours[row]
                theirs[beside] = ("1000/s", best(runs, lambda: fio_requests(path, format, *options)))
            os.unlink(path)
    source = os.path.join(folder, "source.raw")
    with open(source, "wb") as file:
        for _ in range(COPY_MIB // 2):
            file.write(os.urandom(MIB))
            file.seek(MIB, os.SEEK_CUR)
        file.truncate(COPY_MIB * MIB)
    packed = os.path.join(folder, "source.qcow2")
    subprocess.run([porthole, "disk", "convert", source, packed], check=True)
    copies = {"raw to qcow2": (source, "qcow2"), "qcow2 to raw": (packed, "raw"),
              "qcow2 to qcow2": (packed, "qcow2"), "raw to raw": (source, "raw")}
    for name, (image, format) in copies.items():
        copy = os.path.join(folder, f"copy.{format}")
        row = f"{COPY_MIB} MiB copied, {name}"
        ours[row] = ("s", least(runs, copy, porthole, "disk", "convert", image, copy))
        theirs[row] = ("s", least(runs, copy, "qemu-img", "convert", "-t", "writeback", "-O", format,
                                  image, copy))
    text = os.path.join(folder, "text.raw")
    write_text(text)
    for kind in ("zlib", "zstd"):
        copy = os.path.join(folder, "copy.qcow2")
        row = f"{TEXT_MIB} MiB of text compressed, {kind}"
        ours[row] = ("s", least(3, copy, porthole, "disk", "convert", "--compress", "--compression",
                                kind, text, copy))
        theirs[row] = ("s", least(3, copy, "qemu-img", "convert", "-c", "-t", "writeback", "-O",
                                  "qcow2", "-o", f"compression_type={kind}", text, copy))
    ours |= opening(porthole, folder)
    for path in (source, packed, text):
        os.unlink(path)
    return ours, theirs


def rows_of_requests(format):
    for writes in (False, True):
        for step, how in ((4096, "in order"), (STRIDE, "scattered")):
            yield f"image, {'writes' if writes else 'reads'} of 4 KiB {how}, {format}", (writes, step)


def write_text(path):
    """Words, of which no cluster is like another."""
    seeded = random.Random(1)
    letters = b"abcdefghijklmnopqrstuvwxyz"
    words = [bytes(seeded.choices(letters, k=seeded.randrange(2, 12))) for _ in range(4000)]
    block = b" ".join(seeded.choices(words, k=200_000))[:MIB]
    with open(path, "wb") as file:
        for _ in range(TEXT_MIB):
            at = seeded.randrange(MIB)
            file.write(block[at:] + block[:at])


def best(runs, measure):
    """The best of several, in thousands."""
    return max(measure() for _ in range(runs)) / 1000


def prepare(path, format, full):
    """A new image, written throughout where it is to be read."""
    if os.path.exists(path):
        os.unlink(path)
    subprocess.run(["qemu-img", "create", "-q", "-f", format, path, f"{IMAGE_MIB}M"], check=True)
    if full:
        subprocess.run(["qemu-io", "-f", format, "-c", f"write -P 7 0 {IMAGE_MIB}M", path],
                       check=True, stdout=subprocess.DEVNULL)


def our_requests(porthole, path, format, writes, step):
    prepare(path, format, not writes)
    command = [porthole, "disk", "bench", path, "--format", format, "--count", str(REQUESTS),
               "--size", "4096"]
    command += ["--write"] * writes + ["--random"] * (step != 4096)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["perSecond"]


def their_requests(path, format, writes, step):
    prepare(path, format, not writes)
    command = ["qemu-img", "bench", "-f", format, "-c", str(REQUESTS), "-s", "4096", "-S", str(step),
               "-t", "writeback"]
    command += ["-w", "--flush-interval", str(REQUESTS), "-d", "64"] if writes else ["-d", "64"]
    done = subprocess.run(command + [path], check=True, capture_output=True, text=True)
    # "Run completed in 0.123 seconds."
    words = done.stdout.split()
    return REQUESTS / float(words[words.index("seconds.") - 1])


def fio_requests(path, format, writes, step):
    """One thread's, as ours."""
    prepare(path, format, not writes)
    kind = ("rand" if step != 4096 else "") + ("write" if writes else "read")
    command = ["fio", "--name=requests", f"--filename={path}", f"--rw={kind}", "--bs=4k",
               f"--size={IMAGE_MIB}M", f"--number_ios={REQUESTS}", "--ioengine=psync",
               "--invalidate=0", "--fallocate=none", "--thread", "--output-format=json"]
    done = subprocess.run(command + ["--end_fsync=1"] * writes, check=True, capture_output=True,
                          text=True)
    job = json.loads(done.stdout)["jobs"][0]
    return job["write" if writes else "read"]["iops"]


def least(runs, copy, *command):
    """Seconds, the median, that a copy takes which is made anew each time."""
    times = []
    for _ in range(runs):
        if os.path.exists(copy):
            os.unlink(copy)
        os.sync()
        start = time.monotonic()
        subprocess.run(command, check=True)
        times.append(time.monotonic() - start)
    os.unlink(copy)
    return statistics.median(times)


def opening(porthole, folder):
    """What it takes to open an image of 1 TiB and read from it, beyond one of 1 MiB."""
    times, sizes = {}, {}
    for name, size in (("large", "1T"), ("small", "1M")):
        path = os.path.join(folder, f"{name}.qcow2")
        subprocess.run([porthole, "disk", "create", path, size], check=True)
        times[name] = []
        for _ in range(9):
            command = [porthole, "disk", "bench", path, "--count", "1", "--write"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            times[name].append(json.loads(process.stdout.read())["openSeconds"] * 1000)
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
            sizes[name] = min(sizes.get(name, usage.ru_maxrss), usage.ru_maxrss)
        os.unlink(path)
    return {"a qcow2 image of 1 TiB, opened": ("ms", statistics.median(times["large"])),
            "a qcow2 image of 1 TiB, memory": ("MiB", max(0, sizes["large"] - sizes["small"]) / 1024)}
