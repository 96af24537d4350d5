#!/usr/bin/env python3
"""Puts small sound qcow2 images into a fuzzer's corpus, which it would take long to find by itself:
image_seeds.py FOLDER. They are made by QEMU's programs."""

import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile

# What the fuzzer reads before the image: what is done to it.
STEPS = 64
LIMIT = 65536


def make(path, number, cluster, compression, bits):
    options = (f"cluster_size={cluster},refcount_bits={bits},compression_type={compression},"
               f"lazy_refcounts={'on' if number % 2 else 'off'}")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path, "300K"],
                   check=True)
    requests = ["write -P 5 0 8k", "write -z 16k 4k", f"write -c -P 9 64k {cluster}"]
    words = [word for request in requests for word in ("-c", request)]
    subprocess.run(["qemu-io", *words, path], check=True, stdout=subprocess.DEVNULL)
    if bits > 1 and number % 2:
        subprocess.run(["qemu-img", "snapshot", "-c", "a", path], check=True)
    if number % 3 == 0:
        subprocess.run(["qemu-img", "bitmap", "--add", path, "b"], check=True)


def main(folder):
    if not shutil.which("qemu-img"):
        print("image_seeds: qemu-img is not there; the fuzzer begins with nothing", file=sys.stderr)
        return
    os.makedirs(folder, exist_ok=True)
    seeded = random.Random(5)
    kinds = itertools.product((512, 1024, 4096), ("zlib", "zstd"), (1, 16, 64))
    with tempfile.TemporaryDirectory(prefix="porthole-seeds-") as work:
        for number, kind in enumerate(kinds):
            path = os.path.join(work, str(number))
            make(path, number, *kind)
            with open(path, "rb") as file:
                image = file.read()
            with open(os.path.join(folder, f"seed{number}"), "wb") as file:
                file.write((seeded.randbytes(STEPS) + image)[:LIMIT])


main(sys.argv[1])
