"""The Debian package: what is in it, and that a clean Debian runs it."""

import configparser
import gzip
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from PIL import Image

from conftest import FULL, HERE

sys.path.insert(0, os.path.join(HERE, "media"))
from linux import KEYRING, RELEASE, Apt  # noqa: E402

SCRIPT = os.path.join(HERE, "../../scripts/package.sh")
PICTURE = """\
set -e
cd /root
porthole --version
porthole doctor
porthole run --guest demo --engine software --vnc none --name clean &
i=0
until porthole screenshot --name clean clean.png 2> errors; do
  i=$((i + 1)); [ $i -lt 100 ] || { cat errors; exit 1; }; sleep 0.2
done
sleep 2
porthole screenshot --name clean clean.png
porthole stop --name clean
wait $!
"""

# What a system with a real systemd does, from the package before this one to none; `set -x` tells
# which step failed.
LIFE = """\
set -ex
cd /root
main() { systemctl show -P MainPID porthole@desk; }
becomes() { for i in $(seq 100); do [ "$(systemctl is-active porthole@desk)" != $1 ] || return 0; \
sleep 0.2; done; return 1; }
links=/etc/systemd/system/multi-user.target.wants

dpkg -i old.deb
porthole create desk --guest demo --engine software --memory 32M
systemctl enable --now porthole@desk
systemctl is-active porthole@desk
first=$(main)
porthole list | grep 'desk.*pid '

: an upgrade leaves it running, and its next start is of the new version
dpkg -i new.deb
test "$(main)" = $first
porthole screenshot --name desk desk.png
systemctl restart porthole@desk
second=$(main)
test $second != $first

: what crashed comes back, what was switched off stays off
kill -9 $second
sleep 1
becomes active
test "$(main)" != $second
porthole stop desk --timeout 0
becomes inactive
systemctl start porthole@desk

: removing stops what systemd has started, and leaves what was made
dpkg --remove porthole > removed
grep /var/lib/porthole removed
! systemctl is-active porthole@desk
! pgrep porthole
test -e /var/lib/porthole/desktops/desk/desktop.yaml
test -L $links/porthole@desk.service
dpkg --purge porthole > purged
grep /var/lib/porthole purged
test -e /var/lib/porthole/desktops/desk/desktop.yaml
test ! -L $links/porthole@desk.service

dpkg -i new.deb
systemctl start porthole@desk
porthole list | grep 'desk.*pid '
"""
UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
StandardOutput=file:/root/said
StandardError=file:/root/said
ExecStart=/bin/sh -c 'sh /root/life.sh; echo "status $?"; systemctl poweroff'
"""

pytestmark = pytest.mark.without_kvm


def package(program, folder, **environment):
    """Packs the command under test; the package's path."""
    result = subprocess.run(
        [SCRIPT, program, folder], capture_output=True, text=True, timeout=120,
        env=dict(os.environ, COMPRESSION="none", **environment))
    assert result.returncode == 0 and result.stderr == "", result.stderr
    path = result.stdout.strip()
    assert os.listdir(folder) == [os.path.basename(path)]
    return path


@pytest.fixture(scope="module")
def packed(program, tmp_path_factory):
    """The package, and the folder it was unpacked to."""
    folder = tmp_path_factory.mktemp("package")
    path = package(program, str(folder))
    tree = tmp_path_factory.mktemp("tree")
    subprocess.run(["dpkg-deb", "-R", path, tree], check=True)
    yield path, str(tree)
    shutil.rmtree(folder)
    shutil.rmtree(tree)


def field(path, name):
    return subprocess.run(
        ["dpkg-deb", "-f", path, name], capture_output=True, text=True, check=True).stdout.strip()


def commands(entry, path=()):
    """A command of the help's JSON and those below it, as words."""
    path = (*path, entry["commandName"])
    yield path
    for below in entry.get("subcommands", []):
        if below["commandName"] != "help" and below["shouldDisplay"]:
            yield from commands(below, path)


def test_the_package_has_what_a_host_needs(packed):
    path, tree = packed
    for name in ("usr/bin/porthole", "usr/lib/systemd/system/porthole@.service",
                 "usr/lib/udev/rules.d/60-porthole.rules", "usr/share/man/man1/porthole.1.gz",
                 "usr/share/bash-completion/completions/porthole",
                 "usr/share/zsh/vendor-completions/_porthole",
                 "usr/share/fish/vendor_completions.d/porthole.fish",
                 "usr/share/doc/porthole/changelog.gz", "usr/share/doc/porthole/copyright"):
        assert os.path.getsize(os.path.join(tree, name)) > 0, name
    owners = subprocess.run(["dpkg-deb", "-c", path], capture_output=True, text=True).stdout
    for line in owners.splitlines():
        mode, owner = line.split()[:2]
        assert owner == "root/root" and mode[5] != "w" and mode[8] != "w", line


def test_the_package_names_what_the_command_links(packed):
    path, tree = packed
    depends = {re.split("[ (:]", each.strip())[0] for each in field(path, "Depends").split(",")}
    assert {"libc6", "libvncserver1", "libpng16-16"} <= depends
    assert not any("swift" in name for name in depends)
    ran = subprocess.run([os.path.join(tree, "usr/bin/porthole"), "--version"],
                         capture_output=True, text=True)
    assert ran.stdout.strip() == "porthole " + field(path, "Version")
    sums = subprocess.run(["md5sum", "--check", "--quiet", "DEBIAN/md5sums"], cwd=tree)
    assert sums.returncode == 0


def test_every_command_has_a_manual_page_without_a_warning(packed, porthole):
    pages = os.path.join(packed[1], "usr/share/man/man1")
    top = json.loads(porthole.good("--experimental-dump-help"))["command"]
    wanted = {"-".join(path) for path in commands(top)}
    assert {name.removesuffix(".1.gz") for name in os.listdir(pages)} == wanted
    for name in sorted(wanted):
        with gzip.open(os.path.join(pages, name + ".1.gz"), "rb") as file:
            lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=file.read(),
                                  capture_output=True)
        assert lint.returncode == 0 and lint.stdout == b"", f"{name}: {lint.stdout.decode()}"


def test_examples_of_manual_pages_keep_their_lines(packed):
    with gzip.open(os.path.join(packed[1], "usr/share/man/man1/porthole-wait.1.gz"), "rb") as file:
        text = subprocess.run(["mandoc", "-T", "ascii"], input=file.read(), capture_output=True,
                              check=True).stdout
    text = re.sub(rb".\x08", b"", text).decode()
    assert re.search(r"^ +porthole wait desk --stopped$", text, re.M)


def typed(argv, text, environment, wanted, folder):
    """What a shell in a terminal shows after `text` was typed, once `wanted` stands in it."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(argv[0], argv, environment)
    shown = b""

    def look(until_there):
        nonlocal shown
        deadline = time.monotonic() + 20
        while until_there not in shown and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096)
                # It asks what the terminal is.
                if b"\x1b[c" in shown or b"\x1b[0c" in shown:
                    os.write(terminal, b"\x1b[?62;c")
    try:
        look(b"ready>")
        shown = b""
        os.write(terminal, text.encode())
        look(wanted.encode())
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)
    return shown.decode(errors="replace")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_at_a_terminal(packed, porthole, folder, shell):
    tree = packed[1]
    environment = dict(
        porthole.environment, PORTHOLE_HOME=os.path.join(folder, "home"), TERM="xterm", HOME=folder,
        ZDOTDIR=folder, PATH=os.path.join(tree, "usr/bin") + ":" + os.environ["PATH"])
    porthole.environment["PORTHOLE_HOME"] = environment["PORTHOLE_HOME"]
    porthole.good("create", "quicksilver", "--size", "1M")
    share = os.path.join(tree, "usr/share")
    settings = os.path.join(folder, ".zshrc")
    with open(settings, "w") as file:
        file.write({
            "bash": f"shopt -s extglob\n. {share}/bash-completion/completions/porthole\nPS1='ready> '\n",
            "zsh": f"fpath=({share}/zsh/vendor-completions $fpath)\nautoload -U compinit\n"
                   "compinit -u -D\nPS1='ready> '\n",
            "fish": f"source {share}/fish/vendor_completions.d/porthole.fish\n"
                    "function fish_prompt; echo 'ready> '; end\n"}[shell])
    argv = {"bash": ["bash", "--rcfile", settings, "-i"], "zsh": ["zsh", "-i"],
            "fish": ["fish", "--no-config", "-C", f"source {settings}"]}[shell]
    for text, wanted in (("porthole start qui\t", "quicksilver"), ("porthole screensh\t", "screenshot")):
        assert wanted in typed(argv, text, environment, wanted, folder), text


def test_bash_completes_commands_options_and_names(packed, porthole, folder):
    tree = packed[1]
    script = os.path.join(tree, "usr/share/bash-completion/completions/porthole")
    porthole.environment.update(PORTHOLE_HOME=os.path.join(folder, "home"),
                                PATH=os.path.join(tree, "usr/bin") + ":" + os.environ["PATH"])
    for name in ("debian", "office"):
        with open(os.path.join(folder, name + ".img"), "wb") as file:
            file.write(name.encode())
        porthole.good("image", "import", file.name)
    porthole.good("create", "desk", "--image", "debian")

    def completed(*words):
        """What bash offers at the end of a line; it calls the function with these arguments."""
        line = " ".join(words)
        call = shlex.join([words[0], words[-1], words[-2]])
        program = (f"shopt -s extglob; source {shlex.quote(script)}; COMP_WORDS=({shlex.join(words)});"
                   f" COMP_CWORD={len(words) - 1}; COMP_LINE={shlex.quote(line)};"
                   f" COMP_POINT={len(line)}; _porthole {call};"
                   " printf '%s\\n' \"${COMPREPLY[@]}\"")
        return subprocess.run(["bash", "-c", program], capture_output=True, text=True, cwd=folder,
                              env=porthole.environment).stdout.split()
    assert "screenshot" in completed("porthole", "scr")
    assert "--memory" in completed("porthole", "run", "--mem")
    assert "software" in completed("porthole", "run", "--engine", "s")
    assert completed("porthole", "image", "show", "o") == ["office"]
    assert completed("porthole", "create", "x", "--image", "") == ["debian", "office"]
    assert completed("porthole", "start", "") == ["desk"]
    assert "office.img" in completed("porthole", "run", "--disk", "off")


def test_the_unit_starts_and_stops_by_commands_that_there_are(packed, porthole):
    """And lets the desktop have what it needs: its KVM, and memory that it may execute."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(os.path.join(packed[1], "usr/lib/systemd/system/porthole@.service"))
    service = unit["Service"]
    for line in (service["ExecStart"], service["ExecStop"]):
        words = line.removeprefix("-").replace("%i", "desk").split()
        assert words[0] == "/usr/bin/porthole"
        usage = porthole.good(words[1], "--help")
        for word in words[2:]:
            assert not word.startswith("--") or word in usage, line
    assert service["DeviceAllow"] == "/dev/kvm rw"
    assert "MemoryDenyWriteExecute" not in service


def test_the_service_manager_is_told_when_a_desktop_is_up(porthole, folder):
    """And keeps no password, for its journal is read by others."""
    home = os.path.join(folder, "home")
    porthole.environment.update(PORTHOLE_HOME=home, NOTIFY_SOCKET=os.path.join(folder, "notify"))
    porthole.good("create", "desk", "--guest", "echo", "--engine", "software")
    with open(os.path.join(home, "desktops/desk/password")) as file:
        password = file.read().strip()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(porthole.environment["NOTIFY_SOCKET"])
        manager.settimeout(20)
        process = subprocess.Popen(
            [porthole.program, "start", "--foreground", "desk"], env=porthole.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert manager.recv(100) == b"READY=1"
            porthole.good("stop", "desk", "--timeout", "0")
            output = process.communicate(timeout=20)[0]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert process.returncode == 0 and "connect a VNC viewer" in output
    assert password not in output


def test_the_same_command_gives_the_same_package(packed, program, folder):
    again = package(program, os.path.join(folder, "again"))
    with open(packed[0], "rb") as one, open(again, "rb") as other:
        assert one.read() == other.read()


@pytest.mark.limit(600)
@pytest.mark.skipif(not FULL, reason="PORTHOLE_FULL=1 installs a clean Debian for it")
def test_a_clean_debian_installs_and_runs_it(packed, folder):
    """Nothing is there but what the package's dependencies bring."""
    path, _ = packed
    script = os.path.join(folder, "picture.sh")
    with open(script, "w") as file:
        file.write(PICTURE)
    name = os.path.basename(path)
    hooks = [f'cp {shlex.quote(path)} {shlex.quote(script)} "$1/root/"',
             f'chroot "$1" apt-get install -qq --no-install-recommends ./root/{name}',
             'chroot "$1" sh /root/picture.sh', f"copy-out /root/clean.png {shlex.quote(folder)}",
             'chroot "$1" dpkg --purge porthole', 'test ! -e "$1/usr/bin/porthole"']
    result = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", "--format=null",
         *(f"--customize-hook={hook}" for hook in hooks), RELEASE, "-",
         f"deb [signed-by={KEYRING}] {Apt.mirror()} {RELEASE} main"],
        capture_output=True, text=True)
    # What hooks print goes to standard error.
    assert result.returncode == 0, result.stderr[-4000:]
    assert "\nporthole " + field(path, "Version") + "\n" in result.stderr
    with Image.open(os.path.join(folder, "clean.png")) as picture:
        assert picture.size == (1024, 768)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 1000


@pytest.mark.limit(900)
@pytest.mark.skipif(not FULL, reason="PORTHOLE_FULL=1 boots a clean Debian for it")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can boot a system in a container")
def test_a_systemd_starts_upgrades_and_removes_it(packed, folder):
    """A desktop outlives an upgrade, and its files outlive the package."""
    path, tree = packed
    old = os.path.join(folder, "old")
    shutil.copytree(tree, old)
    control = os.path.join(old, "DEBIAN/control")
    with open(control) as file:
        text = re.sub("^Version: .*", "Version: 0.0.1", file.read(), flags=re.M)
    with open(control, "w") as file:
        file.write(text)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", old, old + ".deb"], check=True,
                   stdout=subprocess.DEVNULL)
    system = os.path.join(folder, "system")
    depends = [re.split("[ (:]", each.strip())[0] for each in field(path, "Depends").split(",")]
    made = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", "--format=directory",
         "--include=" + ",".join(["systemd-sysv", "dbus", "procps", *depends]), RELEASE, system,
         f"deb [signed-by={KEYRING}] {Apt.mirror()} {RELEASE} main"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-4000:]
    root = os.path.join(system, "root")
    shutil.copy(path, os.path.join(root, "new.deb"))
    shutil.copy(old + ".deb", root)
    for name, text in (("root/life.sh", LIFE), ("etc/systemd/system/life.service", UNIT)):
        with open(os.path.join(system, name), "w") as file:
            file.write(text)
    wants = os.path.join(system, "etc/systemd/system/multi-user.target.wants")
    os.symlink("/etc/systemd/system/life.service", os.path.join(wants, "life.service"))
    booted = subprocess.run(
        ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe",
         "-D", system], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    with open(os.path.join(root, "said")) as file:
        said = file.read()
    assert said.rstrip().endswith("status 0"), said[-4000:] + booted.stderr[-1000:]
    with Image.open(os.path.join(root, "desk.png")) as picture:
        assert picture.size == (1024, 768)
