"""The store of golden images: what is kept once, what stays, and what a crash leaves."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest

from conftest import FULL
from desktop import until

pytestmark = pytest.mark.without_kvm
MIB = 1 << 20


@pytest.fixture
def home(porthole, folder):
    """A store of the test's own; its folder of images."""
    porthole.environment["PORTHOLE_HOME"] = os.path.join(folder, "home")
    return os.path.join(folder, "home", "images")


def noise(folder, name, size, seed=1):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(random.Random(seed).randbytes(size))
    return path


def images(porthole):
    return json.loads(porthole.good("image", "list", "--json"))


def use(porthole, desktop, path):
    """A desktop that needs the image at `path`."""
    folder = os.path.join(porthole.environment["PORTHOLE_HOME"], "desktops", desktop)
    os.makedirs(folder)
    with open(os.path.join(folder, "desktop.yaml"), "w") as file:
        file.write(f"version: 1\ncdroms: {path}\n")


# ---- What it is for ----


def test_an_image_is_kept_once_and_stays_while_a_desktop_needs_it(porthole, home, folder):
    assert images(porthole) == []
    path = noise(folder, "debian 12.img", 3 * MIB)
    porthole.good("image", "import", path, "--memory", "256M", "--ready-text", "login:")
    twin = porthole.good("image", "import", path, "--name", "twin")
    assert "same content as debian-12" in twin
    one, other = images(porthole)
    with open(path, "rb") as file:
        assert one["sha256"] == hashlib.sha256(file.read()).hexdigest() == other["sha256"]
    assert (one["name"], one["memory"], one["ready"]) == ("debian-12", 256 * MIB, {"text": "login:"})
    assert os.path.samefile(one["path"], other["path"])
    assert stat.S_IMODE(os.stat(one["path"]).st_mode) == 0o444
    porthole.good("image", "verify")

    use(porthole, "desk", one["path"])
    assert "desk" in porthole.refused("image", "delete", "debian-12")
    assert porthole.good("image", "prune", "--dry-run").split() == ["twin"]
    assert porthole.good("image", "prune").split() == ["twin"]
    shown = json.loads(porthole.good("image", "show", "debian-12", "--json"))
    assert shown["usedBy"] == ["desk"]
    porthole.good("image", "delete", "debian-12", "--force")
    assert images(porthole) == [] and os.listdir(home) == []


def test_damage_is_found(porthole, home, folder):
    porthole.good("image", "import", noise(folder, "a.img", MIB))
    path = images(porthole)[0]["path"]
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(500_000)
        file.write(b"x")
    assert "damaged" in porthole.refused("image", "verify")


def test_an_image_that_a_desktop_writes_to_is_not_imported(porthole, home, folder, desktops):
    path = noise(folder, "a.img", MIB)
    with desktops("--disk", path, "--vnc", "none", "--engine", "software"):
        assert path in porthole.refused("image", "import", path)
    porthole.good("image", "import", path)


# ---- Bad input ----


@pytest.mark.parametrize("name", ["../a", "/a", ".", "", "ä", "a b", "x" * 300, "--", "a\n"])
def test_a_name_that_is_no_folders_is_refused(porthole, home, folder, name):
    path = noise(folder, "a.img", MIB)
    for command in (("import", path, f"--name={name}"), ("show", "--", name),
                    ("delete", "--", name)):
        result = porthole("image", *command)
        assert result.returncode == 64 and "Fatal" not in result.stderr, command
    assert not os.path.exists(home) and os.listdir(folder) == ["a.img"]


def test_what_ends_too_early_or_needs_another_file_is_refused(porthole, home, folder, media):
    cut = os.path.join(folder, "cut.iso")
    with open(media("grub-cd.iso"), "rb") as whole, open(cut, "wb") as file:
        file.write(whole.read(MIB))
    assert "truncated" in porthole.refused("image", "import", cut)
    overlay = os.path.join(folder, "overlay.qcow2")
    with open(overlay, "wb") as file:
        header = b"QFI\xfb" + (3).to_bytes(4, "big") + (512).to_bytes(8, "big")
        file.write((header + (11).to_bytes(4, "big")).ljust(512, b"\0") + b"/etc/passwd")
    assert "overlay" in porthole.refused("image", "import", overlay)
    pipe = os.path.join(folder, "pipe")
    os.mkfifo(pipe)
    for path in (folder, pipe, "/dev/null", os.path.join(folder, "nothing")):
        assert path in porthole.refused("image", "import", path)
    assert images(porthole) == []


def test_a_description_that_nobody_can_read_is_named_and_hides_no_other(porthole, home, folder):
    path = noise(folder, "a.img", MIB)
    porthole.good("image", "import", path)
    porthole.good("image", "import", path, "--name", "b")
    description = os.path.join(home, "a", "image.yaml")
    with open(description, "a") as file:
        file.write("memory: lots\n")
    listed = porthole("image", "list", "--json")
    assert listed.returncode == 1 and [each["name"] for each in json.loads(listed.stdout)] == ["b"]
    assert f"{description}" in listed.stderr and "memory" in listed.stderr
    porthole.good("image", "delete", "a")


# ---- Overlays that are in no desktop's folder ----


def test_overlays_elsewhere_keep_an_image(porthole, home, folder):
    porthole.good("image", "import", noise(folder, "a.img", MIB))
    golden = images(porthole)[0]["path"]
    overlay, upper = os.path.join(folder, "over.qcow2"), os.path.join(folder, "upper.qcow2")
    porthole.good("disk", "create", overlay, "--backing", golden, "--backing-format", "raw")
    porthole.good("disk", "create", upper, "--backing", overlay)
    assert images(porthole)[0]["usedBy"] == [overlay]
    assert overlay in porthole.refused("image", "delete", "a")
    assert porthole.good("image", "prune") == ""
    # A desktop that names the upper one needs what is below both; what a raw disk holds is no header.
    porthole.good("create", "desk", "--disk", upper, "--size", "1M")
    with open(os.path.join(folder, "home/desktops/desk/disk.raw"), "r+b") as disk, \
            open(overlay, "rb") as other:
        disk.write(other.read(65536))
    assert images(porthole)[0]["usedBy"] == ["desk", overlay]
    os.unlink(overlay)
    os.unlink(upper)
    assert images(porthole)[0]["usedBy"] == []
    # One that was put on something else needs it no more, and one that was put here does.
    other = noise(folder, "b.img", MIB)
    porthole.good("disk", "create", overlay, "--backing", other, "--backing-format", "raw")
    porthole.good("disk", "rebase", overlay, "--backing", golden, "--backing-format", "raw")
    assert images(porthole)[0]["usedBy"] == [overlay]
    porthole.good("disk", "flatten", overlay)
    assert images(porthole)[0]["usedBy"] == []
    porthole.good("delete", "desk")
    assert porthole.good("image", "prune").split() == ["a"]


def test_an_image_is_needed_while_its_desktop_changes_its_name(porthole, home, folder):
    porthole.good("image", "import", noise(folder, "a.img", MIB))
    porthole.good("create", "one", "--image", "a")
    with subprocess.Popen(
            ["sh", "-c", 'while "$0" rename one two && "$0" rename two one; do :; done', porthole.program],
            env=porthole.environment) as process:
        try:
            for _ in range(40):
                assert "is needed by" in porthole.refused("image", "delete", "a")
        finally:
            process.kill()


def test_an_image_that_a_program_has_open_is_not_deleted(porthole, home, folder, desktops):
    porthole.good("image", "import", noise(folder, "a.img", MIB))
    golden, overlay = images(porthole)[0]["path"], os.path.join(folder, "over.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", golden, "-F", "raw", overlay],
                   check=True)
    with desktops("--disk", overlay, "--vnc", "none", "--engine", "software"):
        assert "another program has image a open" in porthole.refused("image", "delete", "a")
        assert porthole.good("image", "prune") == ""
    porthole.good("image", "delete", "a")


# ---- What goes wrong in the middle ----


def test_two_imports_of_one_content_keep_it_once(porthole, home, folder):
    path = noise(folder, "a.img", 8 * MIB)
    running = [
        subprocess.Popen([porthole.program, "image", "import", path, "--name", name],
                         env=porthole.environment, stdout=subprocess.PIPE, text=True)
        for name in "abcd"]
    said = [process.communicate(timeout=20)[0] for process in running]
    assert sum("same content" in each for each in said) == 3
    assert len({os.stat(each["path"]).st_ino for each in images(porthole)}) == 1


def test_damage_is_told_and_not_spread(porthole, home, folder):
    path = noise(folder, "a.img", MIB)
    for name in "ab":
        porthole.good("image", "import", path, "--name", name)
    other = noise(folder, "c.img", MIB, seed=2)
    porthole.good("image", "import", other)
    with open(os.path.join(home, "a/disk.raw"), "r+b") as file:
        file.seek(MIB // 2)
        file.write(b"?")
    result = porthole("image", "import", path, "--name", "good")
    assert result.returncode == 0 and "image a is damaged" in result.stderr
    os.unlink(os.path.join(home, "c/disk.raw"))
    result = porthole("image", "verify")
    assert result.returncode == 1 and result.stdout == "good: as imported\n"
    assert result.stderr.count("damaged") == 3
    report = json.loads(porthole("image", "verify", "--json").stdout)
    assert [entry["name"] for entry in report if entry["good"]] == ["good"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_an_import_that_then_leaves_nothing(porthole, home, folder, number):
    path = os.path.join(folder, "a.img")
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    process = subprocess.Popen([porthole.program, "image", "import", path], env=porthole.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until(lambda: os.path.isdir(home) and os.listdir(home), 20, "the image's folder")
        time.sleep(0.2)
        process.send_signal(number)
        said = process.communicate(timeout=20)[0]
    finally:
        process.kill()
    assert said == "" and process.returncode == -number
    assert os.listdir(home) == []


def test_a_signal_ends_a_build_with_all_its_programs(porthole, home, folder):
    environment = dict(porthole.environment, TMPDIR=folder)
    process = subprocess.Popen(
        [porthole.program, "image", "build", "a", "--mirror", "http://127.0.0.1:9/debian"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode != 0 and os.listdir(home) == []


def test_two_imports_of_one_name_make_one_image(porthole, home, folder):
    path = noise(folder, "a.img", 8 * MIB)
    running = [
        subprocess.Popen([porthole.program, "image", "import", path], env=porthole.environment,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)]
    ends = [(process.communicate(timeout=20), process.returncode) for process in running]
    assert sorted(code for _, code in ends) == [0, 1, 1, 1]
    assert all("already" in errors for (_, errors), code in ends if code)
    assert os.listdir(home) == ["a"]


@pytest.fixture
def small(porthole, home):
    """Runs the command with a store of 8 MiB; another file system, so that nothing is cloned."""
    os.makedirs(os.path.dirname(home))

    def run(script):
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c",
             f'mount -t tmpfs -o size=8m none "$PORTHOLE_HOME" && {script}', porthole.program],
            env=porthole.environment, capture_output=True, text=True, timeout=20)
        if "unshare" in result.stderr or "mount:" in result.stderr:
            pytest.skip("no mount namespace to make a small disk in")
        return result
    return run


def test_a_full_disk_leaves_nothing(small, folder):
    path = noise(folder, "a.img", 12 * MIB)
    result = small(f'"$0" image import {path}; echo "status $?"; "$0" image list;'
                   ' ls -A "$PORTHOLE_HOME/images"')
    assert result.stdout == "status 1\n"
    assert "no space left" in result.stderr and result.stderr.count("\n") == 1


def test_a_store_that_cannot_be_written_to_is_named_and_can_be_read(small, folder):
    path = noise(folder, "a.img", MIB)
    result = small(f'"$0" image import {path} && mount -o remount,ro "$PORTHOLE_HOME" &&'
                   f' "$0" image list && "$0" image verify && "$0" image import --name b {path};'
                   ' echo "status $?"; "$0" image delete a; echo "status $?"')
    assert result.stdout.count("status 1") == 2 and "a: as imported" in result.stdout
    assert result.stderr.count("read-only file system") == 2


# ---- Systems made of Debian's packages ----


@pytest.mark.parametrize("arguments", [
    ("a", "--release", "$(id)"), ("a", "--package", "--include=x"), ("a", "--user", "root"),
    ("a", "--size", "1M"), ("../a",), ("a", "--mirror", "nowhere")])
def test_what_another_program_could_misunderstand_is_refused(porthole, home, arguments):
    assert porthole("image", "build", *arguments).returncode == 64
    assert not os.path.exists(home)


def test_a_tool_that_is_missing_is_named_with_its_package(porthole, home, folder):
    if shutil.which("mmdebstrap", path="/usr/sbin:/sbin:/usr/local/sbin"):
        pytest.skip("mmdebstrap stands where it is always found")
    porthole.environment["PATH"] = folder
    assert "apt install mmdebstrap" in porthole.refused("image", "build", "a")


@pytest.mark.limit(1200)
@pytest.mark.skipif(not FULL, reason="PORTHOLE_FULL=1 installs and boots Debian for it")
def test_a_built_system_is_the_same_each_time_grows_and_lets_its_user_in(porthole, home, folder):
    password = os.path.join(folder, "password")
    with open(password, "w") as file:
        file.write("open sesame\n")
    build = ("image", "build", "--user", "anna", "--password-file", password, "--package", "nano")
    porthole.good(*build, "debian", timeout=500)
    porthole.good(*build, "again", timeout=500)
    again, first = images(porthole)
    assert first["sha256"] == again["sha256"] and os.path.samefile(first["path"], again["path"])
    assert first["ready"] == {"text": "login:"}

    # A disk that is larger than its image: the system takes all of it when it starts.
    try:
        porthole.good("create", "desk", "--image", "debian", "--size", "5G", "--vnc", "none", "--start")
        porthole.good("wait", "desk", "--ready", "--timeout", "200", timeout=210)
        porthole.good("wait", "desk", "--console", "login:", "--timeout", "60")

        def says(text, seconds):
            porthole.good("wait", "desk", "--text", text, "--timeout", str(seconds), timeout=seconds + 10)

        def type_in(text):
            porthole.good("type", "--name", "desk", text, "--enter")
        type_in("anna")
        says("Password:", 30)
        type_in("open sesame")
        says("anna@debian:~$", 60)
        type_in("which nano; echo 6 x 7 is $((6*7)); df --output=size -BM /")
        says("6 x 7 is 42", 30)
        says("M\nanna@", 30)
        screen = porthole.good("text", "--name", "desk")
        assert "/usr/bin/nano" in screen
        assert int(re.search(r"^ *(\d+)M$", screen, re.M)[1]) > 4700
        type_in("clear; systemctl is-system-running --wait; systemctl --failed --plain")
        says("0 loaded units", 60)
        porthole.good("stop", "desk", "--timeout", "100", timeout=120)
    finally:
        porthole("kill", "desk")
    # The volume that grew is whole, and the image is as it was.
    grown = os.path.join(folder, "grown.raw")
    overlay = os.path.join(os.path.dirname(home), "desktops/desk/disk.qcow2")
    porthole.good("disk", "convert", overlay, grown, timeout=60)
    checked = subprocess.run(["/usr/sbin/e2fsck", "-fn", f"{grown}?offset=1048576"],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    porthole.good("image", "verify", "debian")
