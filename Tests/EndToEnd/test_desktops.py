"""Desktops by name: made, started, stopped, copied, deleted; whatever goes wrong meanwhile."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from PIL import Image

import rfb
from conftest import FULL
from desktop import ANNOUNCEMENT, Desktop, until
from test_command_line import somebody
from x11 import Screen

pytestmark = pytest.mark.without_kvm


@pytest.fixture
def store(porthole, folder):
    """The command with a store of its own, whose desktops end with the test."""
    home = os.path.join(folder, "home")
    porthole.environment["PORTHOLE_HOME"] = home
    porthole.home = home
    yield porthole
    for entry in json.loads(porthole.good("list", "--json")):
        if entry["state"] != "stopped":
            porthole("kill", entry["name"])


def entries(store):
    """What `porthole list` knows, by name."""
    return {entry["name"]: entry for entry in json.loads(store.good("list", "--json"))}


def inside(store, *path):
    return os.path.join(store.home, "desktops", *path)


def together(store, count, *arguments):
    """Runs one command line many times at once; the exit statuses and what went to stderr."""
    processes = [
        subprocess.Popen(
            [store.program, *(part.format(index) for part in arguments)], env=store.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for index in range(count)]
    results = [process.communicate(timeout=60) for process in processes]
    return [process.returncode for process in processes], [result[1] for result in results]


def test_a_desktop_lives_longer_than_the_command_that_starts_it(store, folder):
    store.good("create", "desk", "--guest", "demo:still", "--memory", "32M")
    assert entries(store)["desk"] == {"name": "desk", "state": "stopped", "stored": True}
    line = ANNOUNCEMENT.search(store.good("start", "desk"))
    assert line["name"] == "desk" and len(line["password"]) == 8
    entry = entries(store)["desk"]
    assert (entry["state"], entry["memory"], entry["vnc"]) == ("running", 32 << 20, line["viewers"])

    # It is a process like any other, in a session of its own, without files of ours.
    pid = entry["pid"]
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        assert file.read().split(b"\0")[0] == b"porthole: desk"
    shown = subprocess.run(["ps", "-o", "args=,comm=", "-p", str(pid)], capture_output=True, text=True)
    assert shown.stdout.split() == ["porthole:", "desk", "porthole:", "desk"]
    assert os.getsid(pid) == pid and os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    assert os.readlink(f"/proc/{pid}/fd/2") == inside(store, "desk", "log")
    threads = {open(f"/proc/{pid}/task/{task}/comm").read().strip()
               for task in os.listdir(f"/proc/{pid}/task")}
    assert {"vcpu0", "machine", "control", "display"} <= threads

    # The commands for running desktops know it by its name.
    for arguments in (("start", "desk"), ("delete", "desk"), ("rename", "desk", "x")):
        assert "desk runs; stop it first" in store.refused(*arguments)
    assert "stop it first" in store.refused("clone", "desk", "x")
    store.good("wait", "desk", "--still", "0.3", "--timeout", "20")
    store.good("screenshot", "--name", "desk", os.path.join(folder, "now.png"))
    store.good("key", "--name", "desk", "f2")
    store.good("pause", "desk")
    assert entries(store)["desk"]["state"] == "paused"
    store.good("resume", "desk")
    shown = json.loads(store.good("show", "desk", "--json"))
    assert shown["password"] == line["password"] and shown["settings"]["guest"] == ["demo:still"]
    assert json.loads(store.good("top", "--json"))[0]["name"] == "desk"
    assert "desk" in store.good("view", "desk", "--print-only")

    # kill -9 leaves nothing stale: it is just not running any more.
    os.kill(pid, signal.SIGKILL)
    until(lambda: entries(store)["desk"]["state"] == "stopped", 5, "the killed desktop is stopped")
    until(lambda: entries(store) and os.listdir(os.path.join(folder, "porthole")) == ["ports"], 5,
          "its sockets are gone")
    assert "porthole start desk" in store.refused("text", "desk")
    store.good("start", "desk")
    store.good("restart", "desk")
    store.good("stop", "desk")
    assert entries(store)["desk"]["state"] == "stopped"
    assert os.path.getsize(inside(store, "desk", "screen.png")) > 100
    assert "stopped: switched off" in store.good("logs", "desk")
    assert os.listdir(os.path.join(folder, "porthole")) == ["ports"]


def test_many_desktops_start_together(store):
    store.good("create", "--count", "12", "d%d", "--guest", "echo", "--memory", "16M")
    store.good("start", "d3")
    result = store("start", *(f"d{index}" for index in range(1, 13)))
    assert result.returncode == 1 and "d3 runs" in result.stderr
    said = [ANNOUNCEMENT.search(line) for line in result.stdout.splitlines()]
    assert {line["name"] for line in said} == {f"d{index}" for index in range(1, 13)} - {"d3"}
    assert len({line["viewers"] for line in said}) == 11
    # All or none.
    store.good("create", "gone", "--size", "1M")
    store.good("create", "e3", "--size", "1M")
    assert "e3 exists already" in store.refused("create", "--count", "5", "e%d", "--size", "1M")
    assert "e1" not in entries(store)
    result = store("delete", "d1", "gone", "d2")
    assert result.returncode == 1 and "d1 runs" in result.stderr and "d2 runs" in result.stderr
    assert "gone" not in entries(store)
    assert "there is a desktop named d1" in store.refused("run", "--name", "d1", "--guest", "echo")


def test_desktops_are_copied_renamed_and_changed(store, folder):
    store.good("create", "--count", "3", "desk-%02d", "--size", "1G", "--memory", "64M")
    assert sorted(entries(store)) == ["desk-01", "desk-02", "desk-03"]
    with open(inside(store, "desk-01", "disk.raw"), "r+b") as disk:
        disk.seek(500 << 20)
        disk.write(b"what was written")
    store.good("clone", "desk-01", "copy")
    store.good("rename", "copy", "other")
    with open(inside(store, "other", "disk.raw"), "rb") as disk:
        disk.seek(500 << 20)
        assert disk.read(16) == b"what was written"
    assert os.stat(inside(store, "other", "disk.raw")).st_blocks < 1000
    first, second = (json.loads(store.good("show", name, "--json")) for name in ("desk-01", "other"))
    assert first["password"] != second["password"] and first["settings"] == second["settings"]

    path = inside(store, "other", "desktop.yaml")
    text = open(path).read()
    assert "\n# Memory of the guest.\nmemory: 64M\n" in text and "\n# cpus: 1\n" in text
    with open(path, "a") as file:
        file.write("# a note of mine\n")
    store.good("edit", "other", "--set", "cpus=2", "--set", "memory=1G", "--unset", "serial")
    text = open(path).read()
    assert "\nmemory: 1G\n" in text and "\ncpus: 2\n" in text and "a note of mine" in text
    assert "serial" not in json.loads(store.good("show", "other", "--json"))["settings"]
    assert "did you mean memory?" in store.refused("edit", "other", "--set", "memroy=1G")
    store.environment["EDITOR"] = "sed -i s/1G/2G/"
    store.good("edit", "other")
    assert "\nmemory: 2G\n" in open(path).read()
    store.environment["EDITOR"] = "sed -i s/2G/much/"
    result = store("edit", "other")
    assert result.returncode == 1 and "memory: \"much\" is no amount" in result.stderr
    assert "\nmemory: 2G\n" in open(path).read()
    store.good("delete", "desk-01", "desk-02", "desk-03", "other")
    assert os.listdir(inside(store)) == []


def test_the_desktop_is_the_first_word_of_every_command(store, folder, boot_sector):
    # Every key's character goes to the text screen.
    image = boot_sector(bytes.fromhex("b400cd16b40ebb0700cd10ebf3"))
    for name in ("d1", "d2"):
        store.good("create", name, "--floppy", image + ",read-only", "--memory", "16M")
    store.good("start", "d1", "d2")
    store.good("wait", "d2", "--still", "0.2")
    picture = os.path.join(folder, "now.png")
    store.good("screenshot", "d1", picture, "--scale", "0.5")
    assert store.good("screenshot", "d1", "-", text=False).startswith(b"\x89PNG")
    assert "name one of them: d1, d2" in store.refused("screenshot", picture)
    store.good("type", "d1", "one word")
    store.good("wait", "d1", "--text", "one word", "--timeout", "10")
    store.good("type", "d1", "--file", "-", input="from a pipe")
    store.good("wait", "d1", "--text", "from a pipe", "--timeout", "10")
    store.good("type", "--name", "d2", "--enter", "d1")
    store.good("key", "d2", "x", "shift-y", "z")
    store.good("wait", "d2", "--text", "xYz", "--timeout", "10")
    assert "one word" in store.good("text", "d1") and "one word" not in store.good("text", "d2")
    store.good("click", "d1", "10", "20", "--times", "2")
    store.good("record", "d1", os.path.join(folder, "film.png"), "--duration", "0.2")
    for arguments, said in (
            (("screenshot", "d1"), "d1 is a desktop"), (("screenshot",), "screenshot NAME FILE"),
            (("type", "d1"), "d1 is a desktop"), (("key", "d1"), "which keys"),
            (("click", "5"), "click NAME X Y"), (("click", "d1", "5", "x"), "x is none"),
            (("screenshot", "--name", "d1", "d2", picture), "name the desktop once"),
            (("pause", "--name", "d1", "d2"), "name the desktop once")):
        assert said in store.refused(*arguments, status=64), arguments
    assert [row["name"] for row in json.loads(store.good("top", "--json", "d2"))] == ["d2"]
    assert "no desktop named d3" in store.refused("top", "d3")
    store.good("save", "d2", os.path.join(folder, "d2.snapshot"), "--stop")
    assert "porthole start d2" in store.refused("top", "d1", "d2")
    # Where one runs, its name may be left out.
    store.good("key", "a")
    store.good("screenshot", picture)


def test_more_desktops_than_there_are_displays_find_a_port(store):
    host, taken = "127.0.0.7", []
    try:
        for port in range(5900, 6000):
            taken.append(socket.create_server((host, port), backlog=1))
        store.good("create", "a", "--guest", "echo", "--memory", "16M", "--vnc", host)
        line = ANNOUNCEMENT.search(store.good("start", "a"))
        assert 15900 <= int(line["viewers"].split(":")[1]) <= 16899
        store.good("create", "b", "--guest", "echo", "--memory", "16M", "--vnc", host + ":5990-5999")
        sentence = store.refused("start", "b")
        assert "5990 to 5999 of 127.0.0.7 are all in use" in sentence and "--vnc" in sentence
        store.good("edit", "b", "--set", f"vnc={host}:5990-6100")
        line = ANNOUNCEMENT.search(store.good("start", "b"))
        assert 6000 <= int(line["viewers"].split(":")[1]) <= 6100
    finally:
        for server in taken:
            server.close()


def test_a_service_is_told_what_no_other_attempt_would_mend(store):
    assert "no desktop named nobody" in store.refused("start", "--foreground", "nobody", status=78)
    store.good("create", "desk", "--size", "1M")
    with open(inside(store, "desk", "desktop.yaml"), "a") as file:
        file.write("memory: lots\n")
    assert "is no amount" in store.refused("start", "--foreground", "desk", status=78)
    with open(inside(store, "desk", "desktop.yaml"), "w") as file:
        file.write("disks: gone.raw\n")
    # The disk may come back.
    assert "gone.raw" in store.refused("start", "--foreground", "desk")
    unit = os.path.join(os.path.dirname(__file__), "../../Packaging/porthole@.service")
    assert re.search("^RestartPreventExitStatus=.*\\b78\\b", open(unit).read(), re.M)


def test_view_opens_a_window_or_says_how_to_reach_the_desktop(store, folder):
    store.good("create", "desk", "--guest", "demo:still", "--memory", "32M", "--start")
    address = entries(store)["desk"]["vnc"]
    password = json.loads(store.good("show", "desk", "--json"))["password"]
    said = f"desktop desk: connect a VNC viewer to {address} password {password}\n"
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        store.environment.pop(name, None)
    assert store.good("view", "desk") == said
    with Screen(folder) as screen:
        before, store.environment = store.environment, dict(store.environment, **{
            key: screen.environment[key] for key in ("DISPLAY", "HOME", "XAUTHORITY")})
        assert store.good("view", "desk", "--print-only") == said
        screen.environment = store.environment
        viewer = screen.start(store.program, "view", "desk")
        window = screen.window("desk", 30)
        until(lambda: entries(store)["desk"]["viewers"] == 1, 10, "the viewer is in")
        picture = os.path.join(folder, "now.png")
        store.good("screenshot", "desk", picture)
        until(lambda: screen.place(window, Image.open(picture)), 20, "it shows the desktop", pause=0.2)
        # The password is on no command line.
        with open(f"/proc/{viewer.pid}/cmdline") as file:
            assert password not in file.read()
        # Other viewers ask for the password, and so it is said.
        os.mkdir(os.path.join(folder, "gtk"))
        os.symlink(shutil.which("gvncviewer"), os.path.join(folder, "gtk/gvncviewer"))
        screen.environment = dict(store.environment, PATH=os.path.join(folder, "gtk"))
        screen.start(store.program, "view", "desk")
        log = os.path.join(folder, "viewer.log")
        until(lambda: said in open(log, errors="replace").read(), 10, "the password is said")
        store.good("create", "open", "--guest", "echo", "--memory", "16M", "--no-password",
                   "--vnc", "127.0.0.1:5941-5999", "--start")
        screen.start(store.program, "view", "open")
        until(lambda: entries(store)["open"]["viewers"] == 1, 20, "GTK's viewer has found the desktop")
        screen.environment = store.environment
        # Without any viewer it says the same as without a screen.
        store.environment = dict(store.environment, PATH=folder)
        assert store.good("view", "desk") == said
        store.environment = before
    store.good("create", "blind", "--guest", "echo", "--vnc", "none", "--start")
    assert "--vnc none" in store.refused("view", "blind")


def test_a_paused_desktop_costs_nothing_while_it_is_viewed(store):
    store.good("create", "desk", "--guest", "demo:noise", "--memory", "32M", "--start")
    shown = json.loads(store.good("show", "desk", "--json"))
    host, port = shown["status"]["vnc"].split(":")
    tasks = f"/proc/{shown['status']['pid']}/task"

    def switches():
        with_names = {task: open(f"{tasks}/{task}/comm").read().strip() for task in os.listdir(tasks)}
        (task,) = [task for task, name in with_names.items() if name == "display"]
        text = open(f"{tasks}/{task}/status").read()
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M)[1])
    with rfb.RFB(host, int(port), shown["password"]) as viewer:
        store.good("pause", "desk")
        # It has the whole picture, and has asked for the next change.
        viewer.settle()
        before = switches()
        time.sleep(1)
        # Sixty looks would be more switches than that.
        assert switches() - before < 20
        store.good("resume", "desk")
        assert viewer.pending(5) and viewer.update()


def test_a_desktop_that_hangs_holds_up_nobody(store, folder):
    store.good("create", "--count", "2", "d%d", "--guest", "echo", "--memory", "16M")
    store.good("start", "d1", "d2")
    loose = Desktop(store, "--guest", "echo", "--memory", "16M", name="loose").announced()
    hung = {"d1": entries(store)["d1"]["pid"], "loose": loose.pid}
    for pid in hung.values():
        os.kill(pid, signal.SIGSTOP)
    picture = os.path.join(folder, "now.png")
    commands = {("list", "--json"): 0, ("wait", "d1", "--still", "1", "--timeout", "2"): 3,
                ("top", "--once", "d1"): 1, ("console", "d1"): 1}
    if FULL:
        commands |= {
            ("show", "d1"): 0, ("type", "d1", "hello"): 1, ("key", "d1", "a"): 1, ("text", "d1"): 1,
            ("text", "loose"): 1, ("screenshot", "d1", picture): 1, ("save", "d1", picture): 1,
            ("view", "d1"): 1, ("events", "d1"): 1, ("pause", "d1"): 1, ("stop", "d1"): 1,
            ("restart", "d1"): 1, ("powerdown", "d1"): 1, ("record", "d1", picture): 1,
            ("delete", "--force", "d1"): 1, ("top", "--json"): 0}
    began = time.monotonic()
    processes = {
        command: subprocess.Popen(
            [store.program, *command], env=store.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands}
    for command, status in commands.items():
        output, error = processes[command].communicate(timeout=40)
        assert processes[command].returncode == status, (command, error)
        assert status == 0 or "does not answer" in error and error.count("\n") == 1, (command, error)
        if command == ("list", "--json"):
            states = {entry["name"]: entry["state"] for entry in json.loads(output)}
            assert states == {"d1": "hung", "d2": "running", "loose": "hung"}
            assert time.monotonic() - began < 12
    assert not os.path.exists(picture)
    # The plug ends what hangs, whether the store has it or not.
    assert [process.wait(20) for process in [
        subprocess.Popen([store.program, "kill", name], env=store.environment) for name in hung]] == [0, 0]
    assert {name: entry["state"] for name, entry in entries(store).items()} == {
        "d1": "stopped", "d2": "running"}
    loose.kill()


def test_limits_of_the_shell_are_sentences(store):
    store.good("create", "desk", "--guest", "echo", "--memory", "16M")

    def limited(what, limit):
        return lambda: resource.setrlimit(what, (limit, limit))
    for what, limit, said in (
            (resource.RLIMIT_NOFILE, 14, "too many open files"), (resource.RLIMIT_FSIZE, 512, "file too large"),
            (resource.RLIMIT_AS, 100 << 20, "was ended by signal")):
        sentence = store.refused("start", "desk", preexec_fn=limited(what, limit))
        assert said in sentence, sentence
    sentence = store.refused("create", "other", "--size", "1M", preexec_fn=limited(resource.RLIMIT_FSIZE, 512))
    assert "file too large" in sentence and sorted(entries(store)) == ["desk"]
    assert os.listdir(inside(store)) == ["desk"]
    store.good("start", "desk", preexec_fn=lambda: os.nice(7))
    assert os.getpriority(os.PRIO_PROCESS, entries(store)["desk"]["pid"]) == 7


def test_a_log_is_followed_when_it_is_put_aside(store):
    store.good("create", "desk", "--guest", "echo", "--memory", "16M", "--vnc", "none")
    path = inside(store, "desk", "log")
    with open(path, "w") as file:
        file.write("before\n" + "x" * (1 << 20) + "\n")
    with subprocess.Popen([store.program, "logs", "-f", "desk"], env=store.environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "before\n"
        process.stdout.readline()
        with open(path, "a") as file:
            file.write("at the last moment\n")
            # The desktop's first line finds it too large.
            store.good("start", "desk")
        assert os.path.getsize(path + ".1") > 1 << 20 > os.path.getsize(path)
        assert process.stdout.readline() == "at the last moment\n"
        assert "running without VNC" in process.stdout.readline()
        store.good("kill", "desk")
        assert "stopped: switched off" in process.stdout.readline()
        store.good("delete", "desk")
        assert process.wait(10) == 1 and "renamed or deleted" in process.stderr.read()


def test_what_waits_for_a_desktop_ends_with_it(store, folder):
    store.good("create", "desk", "--guest", "firstlight", "--memory", "16M", "--start")
    text, film = os.path.join(folder, "text"), os.path.join(folder, "film.png")
    with open(text, "w") as file:
        file.write("x" * 100_000)
    commands = {
        ("type", "desk", "--file", text): 1, ("wait", "desk", "--text", "never"): 1,
        ("wait", "desk", "--still", "50"): 1, ("wait", "desk", "--stopped"): 0, ("events", "desk"): 0,
        ("record", "desk", film): 0}
    processes = {
        command: subprocess.Popen([store.program, *command], env=store.environment,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for command in commands}
    until(lambda: os.path.exists(film), 10, "the film has begun")
    time.sleep(0.1)
    os.kill(entries(store)["desk"]["pid"], signal.SIGKILL)
    for command, status in commands.items():
        error = processes[command].communicate(timeout=10)[1]
        assert processes[command].returncode == status, (command, error)
        assert error.count("\n") <= 1 and (status == 0 or "desktop desk " in error or "typing" in error)
    assert entries(store)["desk"]["state"] == "stopped"


def test_homes_of_any_name(store, folder):
    image = os.path.join(folder, "golden.img")
    with open(image, "wb") as file:
        file.write(b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa")
        file.truncate(1 << 20)
    for name in ("ho me", "hömé 漢字", "a,format=qcow2", "x:y", "100%", "q'uo\"te", "new\nline", "plain/"):
        store.environment["PORTHOLE_HOME"] = os.path.join(folder, name)
        store.good("image", "import", image, "--name", "golden")
        store.good("create", "desk", "--image", "golden", "--start", "--vnc", "none")
        assert entries(store)["desk"]["state"] == "running", name
        assert json.loads(store.good("image", "show", "golden", "--json"))["usedBy"] == ["desk"], name
        store.good("kill", "desk")
        store.good("clone", "desk", "copy")
        store.good("delete", "desk", "copy")
        assert store.good("image", "prune").split() == ["golden"]
    store.environment["PORTHOLE_HOME"] = store.home


def test_what_else_lies_in_the_store_is_in_nobodys_way(store, folder):
    """Files, links, pipes and folders that are no desktops, as an operator or a file system leaves them."""
    store.good("create", "good", "--size", "1M")
    other = os.path.join(folder, "a.img")
    with open(other, "wb") as file:
        file.write(os.urandom(1 << 16))
    store.good("image", "import", other)
    images = os.path.join(store.home, "images")
    for place in (inside(store), images):
        for name in ("lost+found", "a b", "empty", "pipes"):
            os.mkdir(os.path.join(place, name))
        open(os.path.join(place, "file"), "w").close()
        os.symlink("/nowhere", os.path.join(place, "dangling"))
        os.symlink("good", os.path.join(place, "alias"))
        os.mkfifo(os.path.join(place, "pipe"))
        for name in ("lock", "desktop.yaml", "image.yaml", "log", "overlays"):
            os.mkfifo(os.path.join(place, "pipes", name))
    os.makedirs(inside(store, "odd", "lock"))
    assert {name: entry["state"] for name, entry in entries(store).items()} == {
        "good": "stopped", "empty": "stopped", "pipes": "stopped", "odd": "stopped"}
    for name in ("file", "dangling", "alias", "pipe", "lost+found"):
        assert "no desktop named" in store("show", name).stderr
    for name in ("empty", "pipes", "odd"):
        assert store("start", name, timeout=10).returncode == 1
    listed = store("image", "list", "--json")
    assert [image["name"] for image in json.loads(listed.stdout)] == ["a"]
    assert "empty" in listed.stderr and "pipes" in listed.stderr
    store.good("create", "more", "--image", "a")
    assert "more" in store.refused("image", "delete", "a")


def test_a_paused_guest_can_shut_down(store):
    store.good("create", "desk", "--guest", "button", "--memory", "16M", "--start")
    until(lambda: not store("wait", "desk", "--still", "0.3", "--timeout", "10").returncode, 20, "it is up")
    store.good("pause", "desk")
    result = store("stop", "desk", "--timeout", "10")
    assert result.returncode == 0 and result.stderr == "", result
    assert "stopped: switched off" in store.good("logs", "desk")


def test_what_cannot_be_made_names_nothing_half_made(store, folder):
    for arguments, said, status in (
            (("--guest", "echo", "--kernel", "/etc/passwd"), "exclude each other", 1),
            (("--size", "1M", "--append", "x"), "--append goes with --kernel", 1),
            (("--guest", "nobody"), "no built-in guest named nobody", 64),
            (("--disk", "/dev/zero"), "neither a file nor a block device", 1),
            (("--iso", "/etc"), "neither a file nor a block device", 1),
            (("--size", "1M", "--password-file", "/nothing"), "cannot open /nothing", 1),
            (("--size", "8000T"), "cannot make a disk", 1)):
        sentence = store.refused("create", "desk", *arguments, status=status)
        assert said in sentence and ".making" not in sentence, sentence
    assert entries(store) == {}
    assert "--timeout takes 0 to" in store.refused("restart", "desk", "--timeout", "99999999999", status=64)


def test_a_crowd_of_commands_gets_its_answers_from_one_desktop(store):
    store.good("create", "desk", "--guest", "echo", "--memory", "16M", "--start")
    codes, errors = together(store, 100, "screenshot", "desk", "/dev/null")
    assert codes == [0] * 100, errors


def test_the_serial_port_is_a_console(store, folder, boot_sector):
    # Writes every byte that comes to COM1 back, one higher.
    image = boot_sector(bytes.fromhex("bafb03b003eebafd03eca80174fbb2f8ecfec0eeebf0"))
    store.good("create", "desk", "--floppy", image, "--start", "--vnc", "none")
    result = store("console", "desk", input="HAL\x1d", timeout=20)
    assert result.returncode == 0, result.stderr
    console = os.path.join(folder, "porthole", "desk.serial")
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(console)
        link.sendall(b"HAL")
        said = b""
        while b"IBM" not in said:
            said += link.recv(10)
    # Others see what it said, too, however many were connected since.
    store.good("wait", "desk", "--console", "IBM", "--timeout", "10")
    assert "IBM" in store.good("text", "--name", "desk", "--serial")
    assert store("wait", "desk", "--console", "DEC", "--timeout", "0.2").returncode == 3
    store.good("reset", "--name", "desk")
    until(lambda: "IBM" not in store.good("text", "--name", "desk", "--serial"), 10, "another start")
    store.good("kill", "desk")
    assert "does not run" in store.refused("console", "desk")


@pytest.mark.parametrize("sign, late", [
    (("--ready-text", "Hello"), False), (("--ready-console", "login:"), False),
    (("--ready-still", "1"), False), (("--ready-console", "Hello"), True)])
def test_an_image_says_how_to_tell_that_its_system_is_up(store, boot_sector, sign, late):
    # Writes "Hello" to the screen and "login: " to COM1, and halts.
    image = boot_sector(bytes.fromhex(
        "31c08ed8be3a7cac84c07409b40ebb0700cd10ebf2bafb03b003eebe407cbaf803ac84c0741088c4"
        "b2fdeca82074fbb2f888e0eeebebfbf4ebfc")
        + b"Hello\0login: \0")
    store.good("image", "import", image, "--name", "system", "--kind", "floppy", *sign)
    store.good("create", "desk", "--image", "system", "--start", "--vnc", "none")
    result = store("wait", "desk", "--ready", "--timeout", "1" if late else "20", timeout=30)
    assert result.returncode == (3 if late else 0), result.stderr


@pytest.mark.parametrize("name", [
    "", ".", "..", ".hidden", "a/b", "../x", "/etc", "é", "漢字", "a b", "a\nb", "-f", "x" * 65, "x" * 300, "%d"])
def test_names_that_are_none_are_refused(store, name):
    assert re.search("letters, digits", store.refused("create", "--size", "1M", "--", name, status=64))
    if name:
        for command in ("start", "delete", "show"):
            assert "no desktop named" in store("%s" % command, "--", name).stderr
    assert not os.path.exists(store.home)


def test_a_hundred_commands_at_once_agree(store):
    codes, errors = together(store, 50, "create", "desk", "--size", "1M")
    assert sorted(codes) == [0] + [1] * 49
    assert all("exists already" in error for error in errors if error)
    # What changes one file at the same time loses nothing.
    codes, errors = together(store, 30, "edit", "desk", "--set", "append=a{0}", "--set", "kernel=/k")
    assert codes == [0] * 30, errors
    codes, _ = together(store, 20, "start", "desk")
    # One started it, or none could: this kernel is not there.
    assert sorted(codes) == [1] * 20
    store.good("edit", "desk", "--unset", "kernel", "--unset", "append")
    codes, errors = together(store, 20, "start", "desk")
    assert sorted(codes) == [0] + [1] * 19
    assert all("desk runs" in error for error in errors if error)
    store.good("kill", "desk")
    codes, _ = together(store, 20, "delete", "desk")
    assert sorted(codes) == [0] + [1] * 19
    codes, _ = together(store, 30, "create", "d{0}", "--size", "1M")
    assert codes == [0] * 30 and len(entries(store)) == 30
    assert not [name for name in os.listdir(inside(store)) if name.startswith(".")]


def test_a_full_disk_leaves_nothing_half_made(store, folder):
    image = os.path.join(folder, "golden.img")
    with open(image, "wb") as file:
        file.write(os.urandom(1 << 20))
    limited = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))  # noqa: E731
    store.good("create", "one", "--size", "1M")
    with open(inside(store, "one", "disk.raw"), "r+b") as disk:
        disk.write(os.urandom(1 << 20))
    sentence = store.refused("clone", "one", "two", preexec_fn=limited)
    assert "cannot copy" in sentence and "file too large" in sentence
    assert os.listdir(inside(store)) == ["one"]
    if os.geteuid() != 0:
        return
    small = os.path.join(folder, "small")
    os.mkdir(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", small]).returncode != 0:
        return
    try:
        store.environment["PORTHOLE_HOME"] = small
        store.good("create", "one", "--size", "1M")
        with open(os.path.join(small, "desktops/one/disk.raw"), "r+b") as disk:
            disk.write(os.urandom(200 << 10))
        assert "no space left" in store.refused("clone", "one", "two")
        with open(os.path.join(small, "filler"), "wb") as filler:
            try:
                filler.write(b"x" * (1 << 20))
            except OSError:
                pass
        assert "no space left" in store.refused("create", "two", "--size", "1M")
        assert os.listdir(os.path.join(small, "desktops")) == ["one"]
    finally:
        store.environment["PORTHOLE_HOME"] = store.home
        subprocess.run(["umount", "-l", small])


def test_a_home_that_cannot_be_written_is_one_sentence(store, folder, program):
    copy = os.path.join(folder, "porthole-copy")
    shutil.copy(program, copy)
    store.program = copy
    runtime = os.path.join(folder, "runtime")
    os.mkdir(runtime, 0o700)
    if os.geteuid() == 0:
        os.chown(runtime, 65534, 65534)
    store.environment["XDG_RUNTIME_DIR"] = runtime
    os.makedirs(store.home, 0o755)
    os.chmod(store.home, 0o555)
    sentence = store.refused("create", "desk", "--size", "1M", **somebody())
    assert "permission denied" in sentence and "PORTHOLE_HOME" in sentence
    assert store.good("list", **somebody()) == ""
    store.environment["PORTHOLE_HOME"] = "relative"
    assert "has to begin with /" in store.refused("list")
    store.environment["PORTHOLE_HOME"] = store.home


def test_a_corrupt_configuration_is_told_by_line_and_key(store):
    store.good("create", "desk", "--guest", "echo")
    path = inside(store, "desk", "desktop.yaml")
    for text, said in (
            ("memory: lots\n", r":1: memory: .lots. is no amount"),
            ("version: 1\ncpus: 0\n", ":2: cpus: lies between 1 and 16"),
            ("cpu: host\ncpus: 1\nmemroy: 1G\n", r":3: memroy: .*did you mean memory\?"),
            ("memory: [1G\n", ":2: is no YAML"), ("a: &a [*a]\n", ":1: anchors"), ("\0\1\2", "is no YAML"),
            ("version: 99\n", "newer porthole"), ("disks: {a: b}\n", "disks.1: should be a value"),
            ("# " + "x" * 70000, "more than 64 KiB"), ("guest: nobody\n", "no built-in guest"),
            ("disks: gone.raw\n", "gone.raw"), ("\xff".encode("latin1"), "not UTF-8")):
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        sentence = store.refused("start", "desk")
        assert re.search(said, sentence), sentence
    os.unlink(path)
    assert "desktop.yaml is missing" in store.refused("start", "desk")
    assert entries(store)["desk"]["state"] == "stopped"
    store.good("delete", "desk")


def test_events_are_told_as_they_happen(store, folder):
    store.good("create", "desk", "--guest", "demo:still", "--memory", "32M", "--start")
    with subprocess.Popen([store.program, "events", "desk"], env=store.environment,
                          stdout=subprocess.PIPE, text=True) as process:
        def event(kind):
            while True:
                said = json.loads(process.stdout.readline())
                if said["event"] == kind:
                    return said
        assert abs(event("started")["time"] - time.time()) < 30
        while event("mode")["text"]:
            pass
        store.good("pause", "desk")
        event("paused")
        store.good("resume", "desk")
        event("resumed")
        shown = json.loads(store.good("show", "desk", "--json"))
        host, port = shown["status"]["vnc"].split(":")
        with rfb.RFB(host, int(port), shown["password"]):
            assert event("viewer-came")["viewers"] == 1
        assert event("viewer-went")["viewers"] == 0
        store.good("reset", "desk")
        event("reset")
        store.good("kill", "desk")
        assert event("stopped")["reason"] == "switched off"
        assert process.stdout.read() == "" and process.wait() == 0


def test_a_desktop_from_an_image_needs_it(store, folder):
    image = os.path.join(folder, "golden.img")
    with open(image, "wb") as file:
        file.write(b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa")
        file.truncate(10 << 30)
    store.good("create", "desk", "--image", image, "--start")
    store.good("kill", "desk")
    assert os.stat(inside(store, "desk", "disk.qcow2")).st_blocks < 1000
    store.good("clone", "desk", "copy")
    os.rename(image, image + ".away")
    for name in ("desk", "copy"):
        sentence = store.refused("start", name)
        assert image in sentence and "not there" in sentence
    assert {entry["state"] for entry in entries(store).values()} == {"stopped"}
    assert image in store.refused("create", "other", "--image", image)
    os.rename(image + ".away", image)
    store.good("start", "desk", "copy")
    assert "porthole image list" in store.refused("create", "other", "--image", "nothing")
    assert sorted(entries(store)) == ["copy", "desk"]


def test_stale_files_and_a_clock_set_back_do_no_harm(store, folder):
    store.good("create", "desk", "--guest", "echo")
    with socket.socket(socket.AF_UNIX) as dead:
        os.makedirs(os.path.join(folder, "porthole"), 0o700, exist_ok=True)
        dead.bind(os.path.join(folder, "porthole", "desk.sock"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.path.join(folder, "porthole", "desk.serial"))
    with open(inside(store, "desk", "lock"), "w") as file:
        file.write("4194304\n/nowhere.sock\n")
    later = time.time() + 10 * 365 * 86400
    for root, folders, files in os.walk(store.home):
        for name in [*folders, *files]:
            os.utime(os.path.join(root, name), (later, later))
    assert entries(store)["desk"]["state"] == "stopped"
    store.good("start", "desk")
    assert entries(store)["desk"]["state"] == "running"
    store.good("stop", "desk")
    store.good("delete", "desk")
