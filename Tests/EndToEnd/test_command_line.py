"""The command line: bad input, names and sockets, signals, and what a process shows of itself."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from desktop import ANNOUNCEMENT, until

MIB = 1 << 20


def blank(folder, name, size, start=b""):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(size)
    return path


def cut(source, folder, name, size):
    """The first `size` bytes of an image."""
    path = os.path.join(folder, name)
    with open(source, "rb") as image, open(path, "wb") as file:
        file.write(image.read(size))
    return path


# ---- Images that are none ----


@pytest.mark.without_kvm
@pytest.mark.parametrize("option", [(), ("--floppy",), ("--disk",), ("--cdrom",)])
def test_a_missing_image_is_named(porthole, folder, option):
    path = os.path.join(folder, "nothing.img")
    sentence = porthole.refused("run", *option, path)
    assert path in sentence and re.search(r"no image|no such file", sentence)


@pytest.mark.without_kvm
@pytest.mark.parametrize("option", [(), ("--floppy",), ("--disk",), ("--cdrom",)])
def test_an_empty_image_is_named(porthole, folder, option):
    path = blank(folder, "empty.img", 0)
    assert "empty" in porthole.refused("run", *option, path)


@pytest.mark.without_kvm
@pytest.mark.parametrize("option", [(), ("--disk",)])
def test_a_directory_is_no_image(porthole, folder, option):
    sentence = porthole.refused("run", *option, folder)
    assert folder in sentence and re.search("directory|folder", sentence)


@pytest.mark.without_kvm
def test_a_device_or_a_pipe_is_no_image(porthole, folder):
    pipe = os.path.join(folder, "pipe")
    os.mkfifo(pipe)
    for path in ("/dev/null", pipe):
        assert path in porthole.refused("run", "--disk", path)


def somebody():
    """Who runs a program that root's permissions must not help; nothing where that is us."""
    if os.geteuid() != 0:
        return {}
    return {"user": 65534, "group": 65534, "extra_groups": []}


@pytest.fixture
def stranger(porthole, program, folder):
    """The command as a user who is not root, in a folder of that user's own."""
    if os.geteuid() == 0:
        copy = os.path.join(folder, "porthole-copy")
        shutil.copy(program, copy)
        porthole.program = copy
        runtime = os.path.join(folder, "runtime")
        os.mkdir(runtime, 0o700)
        os.chown(runtime, 65534, 65534)
        porthole.environment["XDG_RUNTIME_DIR"] = runtime
    return porthole


@pytest.mark.without_kvm
def test_an_unreadable_image_is_named(stranger, folder):
    path = blank(folder, "secret.img", MIB)
    os.chmod(path, 0)
    sentence = stranger.refused("run", "--disk", path, **somebody())
    assert path in sentence and "permission denied" in sentence


@pytest.mark.without_kvm
def test_an_image_that_cannot_be_written_asks_for_read_only(stranger, folder):
    path = blank(folder, "fixed.img", MIB)
    os.chmod(path, 0o444)
    sentence = stranger.refused("run", "--disk", path, **somebody())
    assert path in sentence and "read-only" in sentence


@pytest.mark.without_kvm
def test_without_permission_for_kvm_the_group_is_named(stranger):
    if os.access("/dev/kvm", os.F_OK) and (
            os.geteuid() != 0 or os.stat("/dev/kvm").st_mode & 0o006 == 0o006):
        pytest.skip("everybody here may open /dev/kvm")
    sentence = stranger.refused(
        "run", "--engine", "kvm", "--guest", "echo", "--vnc", "none", **somebody())
    assert "/dev/kvm" in sentence
    if os.path.exists("/dev/kvm"):
        assert "group" in sentence


@pytest.mark.without_kvm
def test_without_a_kvm_device_the_sentence_says_what_to_do(porthole):
    """The device is hidden in a mount namespace of the command's own."""
    hide = ["unshare", "--mount", "sh", "-c",
            'mount -t tmpfs none /dev && exec "$0" "$@"', porthole.program]
    if os.path.exists("/dev/kvm") and subprocess.run(
            hide[:-1] + ["true"], capture_output=True).returncode:
        pytest.skip("no mount namespace to hide /dev/kvm in")
    command = hide if os.path.exists("/dev/kvm") else [porthole.program]
    for arguments, code in ((["run", "--engine", "kvm", "--guest", "echo"], 1), (["doctor"], 0)):
        result = subprocess.run(
            command + arguments, env=porthole.environment, capture_output=True, text=True,
            timeout=20)
        assert result.returncode == code
        assert "/dev/kvm" in result.stderr + result.stdout
        assert "Fatal" not in result.stderr
    # Nobody chose an engine: the desktop runs, and says that it is slower than it could be.
    result = subprocess.run(
        command + ["run", "--guest", "hammer", "--vnc", "none", "--debug-exit"],
        env=porthole.environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "/dev/kvm" in result.stderr and "slower" in result.stderr


@pytest.mark.without_kvm
def test_a_truncated_disk_is_told_by_its_partition_table(porthole, folder, media):
    path = cut(media("mbr-disk.img"), folder, "short.img", 5_000_000)
    sentence = porthole.refused("run", path)
    assert "truncated" in sentence and "5000000" in sentence and "17825792" in sentence


@pytest.mark.without_kvm
def test_a_truncated_cd_is_told_by_its_volume_descriptor(porthole, folder, media):
    path = cut(media("grub-cd.iso"), folder, "short.iso", 3_000_000)
    sentence = porthole.refused("run", path)
    assert "truncated" in sentence and "3000000" in sentence


@pytest.mark.without_kvm
def test_an_oversized_floppy_is_told_where_it_belongs(porthole, folder):
    path = blank(folder, "big.img", 3 << 40)
    sentence = porthole.refused("run", "--floppy", path)
    assert path in sentence and "hard disk" in sentence


# ---- Media that do not boot: the screen says why ----


@pytest.mark.parametrize("kind, make, reason", [
    ("--disk", lambda folder: blank(folder, "x.img", MIB, b"\xeb\xfe"), "no boot signature 55 AA"),
    ("--disk", lambda folder: blank(folder, "x.img", MIB), "sector 0 is empty"),
    ("--floppy", lambda folder: blank(folder, "x.img", 1474560, b"\xf6" * 512), "fill bytes"),
    ("--cdrom", lambda folder: blank(folder, "x.img", MIB), "not a CD image"),
], ids=["no-signature", "empty-sector", "formatted-only", "no-iso"])
def test_a_screen_says_why_a_medium_does_not_boot(desktops, folder, kind, make, reason):
    desktop = desktops(kind, make(folder))
    screen = desktop.wait_text(r"No bootable medium\.[\s\S]*Press a key", 10).string
    assert reason in screen and "x.img" in screen
    # And the key does what it says.
    desktop.key("space")
    time.sleep(0.3)
    assert "No bootable medium." in desktop.text()
    assert desktop.text().count("No bootable medium.") >= 1


def test_a_cd_without_el_torito_says_so_on_the_screen(desktops, folder):
    if not shutil.which("xorriso"):
        pytest.skip("xorriso is missing")
    tree = os.path.join(folder, "tree")
    os.mkdir(tree)
    blank(tree, "file", 5000)
    path = os.path.join(folder, "plain.iso")
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-o", path, tree], check=True, capture_output=True)
    desktop = desktops(path)
    screen = desktop.wait_text(r"No bootable medium\.[\s\S]*Press a key", 10).string
    assert re.search(r"plain\.iso.*El Torito", screen), screen


def test_a_desktop_without_media_says_so_on_the_screen(desktops):
    desktop = desktops()
    screen = desktop.wait_text(r"No bootable medium\.[\s\S]*Press a key", 10).string
    assert screen.count("there is no such drive.") == 3


def test_the_boot_order_is_followed(desktops, boot_sector, media):
    drives = ("--disk", media("mbr-disk.img"), "--read-only", "--floppy")
    # mov ah, 0Eh; mov al, 'F'; int 10h; hlt; jmp $-1
    floppy = boot_sector(bytes.fromhex("b40eb046cd10f4ebfd"))
    desktops(*drives, floppy).wait_text(r"^F\s*$", 10)
    desktops(*drives, floppy, "--boot", "disk,floppy").wait_text(r"^MBR 12FA:", 10)


def test_what_gives_up_is_followed_by_the_next_in_the_boot_order(desktops, boot_sector, media):
    # int 18h
    floppy = boot_sector(bytes.fromhex("cd18"))
    desktops("--floppy", floppy, media("mbr-disk.img"), "--read-only").wait_text("MBR 12FA:", 10)
    desktops("--floppy", floppy, "--read-only").wait_text("its boot code found nothing to start", 10)


# ---- Options that cannot be ----


@pytest.mark.without_kvm
@pytest.mark.parametrize("arguments, words", [
    (("--memory", "0"), "memory"), (("--memory", "1M"), "memory"), (("--memory", "much"), "memory"),
    (("--memory=-5M"), "memory"), (("--memory", "99999999999999999999G"), "memory"),
    (("--memory", "3000K"), "mebibytes"), (("--cpus", "0"), "processors"),
    (("--cpus", "1000"), "processors"), (("--cpus=-1"), "processors"), (("--cpus", "two"), "two"),
    (("--vnc", "127.0.0.1:99999"), "99999"), (("--vnc", ":99999"), "display"),
    (("--vnc", "::1:5900"), "brackets"), (("--vnc", "unix:"), "path"),
    (("--boot", "network"), "network"), (("--serial", "lpt1"), "serial"),
    (("--name", "a/b"), "name"), (("--name", "x" * 65), "name"), (("--name", ""), "name"),
    (("--guest", "echo", "x.img"), "guest"), (("--no-password", "--password-file", "x"), "password"),
    (("--frobnicate",), "frobnicate"), (("--irqchip", "none"), "irqchip"),
    (("--cpus", "99999999999999999999"), "cpus"), (("--firmware", "none"), "builtin"),
], ids=str)
def test_an_option_that_cannot_be_is_a_mistake_on_the_command_line(porthole, arguments, words):
    arguments = (arguments,) if isinstance(arguments, str) else arguments
    assert words in porthole.refused("run", *arguments, status=64)


@pytest.mark.without_kvm
def test_more_memory_than_the_host_has_is_refused(porthole):
    assert "more than this host has" in porthole.refused("run", "--memory", "900G")


@pytest.mark.without_kvm
def test_an_unknown_guest_is_told_the_known_ones(porthole):
    sentence = porthole.refused("run", "--guest", "nosuch")
    assert "nosuch" in sentence and "demo" in sentence and "echo" in sentence


@pytest.mark.without_kvm
def test_a_password_file_is_missing_or_empty(porthole, folder):
    missing = os.path.join(folder, "none")
    assert missing in porthole.refused("run", "--guest", "echo", "--password-file", missing)
    empty = blank(folder, "empty", 0)
    assert "empty" in porthole.refused("run", "--guest", "echo", "--password-file", empty)


def test_a_serial_file_that_cannot_be_made_is_named(porthole, folder):
    path = os.path.join(folder, "no/such/folder")
    assert path in porthole.refused("run", "--guest", "echo", "--serial", f"file:{path}")


def test_a_port_in_use_is_named(porthole, desktops):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        sentence = porthole.refused("run", "--guest", "echo", "--vnc", f"127.0.0.1:{port}")
        assert str(port) in sentence and "in use" in sentence


def test_an_address_that_is_not_this_hosts_is_named(porthole):
    sentence = porthole.refused("run", "--guest", "echo", "--vnc", "192.0.2.1:5900")
    assert "192.0.2.1" in sentence


def test_desktops_without_a_port_take_the_next_free_one(desktops):
    ports = {desktops("--guest", "echo").port for _ in range(3)}
    assert len(ports) == 3
    assert all(5900 <= port < 6000 for port in ports)


def test_a_socket_path_that_is_too_long_says_how_long_it_may_be(porthole, folder):
    path = "/tmp/" + "x" * 120
    assert "107" in porthole.refused("run", "--guest", "echo", "--vnc", f"unix:{path}")
    deep = os.path.join(folder, "y" * 100)
    os.mkdir(deep, 0o700)
    porthole.environment["XDG_RUNTIME_DIR"] = deep
    sentence = porthole.refused("run", "--guest", "echo")
    assert "107" in sentence and "XDG_RUNTIME_DIR" in sentence


def test_a_runtime_folder_that_others_can_open_is_refused(porthole, folder):
    os.mkdir(os.path.join(folder, "porthole"), 0o755)
    os.chmod(os.path.join(folder, "porthole"), 0o755)
    assert "nobody else" in porthole.refused("run", "--guest", "echo")


# ---- Names, images and sockets that others have ----


def test_a_name_in_use_is_refused_and_the_first_desktop_goes_on(porthole, desktops):
    first = desktops("--guest", "echo", name="twin")
    assert "twin" in porthole.refused("run", "--guest", "echo", "--name", "twin")
    first.key("a")
    assert porthole.good("list").startswith(f"twin\tpid {first.pid}\t")


def test_names_without_asking_are_numbered(porthole):
    running = []
    try:
        for expected in ("porthole", "porthole-2"):
            process = subprocess.Popen(
                [porthole.program, "run", "--guest", "echo"], env=porthole.environment, text=True,
                stdout=subprocess.PIPE)
            running.append(process)
            assert ANNOUNCEMENT.match(process.stdout.readline())["name"] == expected
        assert "several desktops run" in porthole.refused("text")
    finally:
        for process in running:
            process.kill()
            process.wait()
            process.stdout.close()


def test_two_desktops_cannot_write_to_one_image(porthole, desktops, folder, media):
    image = shutil.copy(media("mbr-disk.img"), folder)
    first = desktops("--disk", image)
    sentence = porthole.refused("run", "--name", "second", "--disk", image)
    assert image in sentence and "in use" in sentence
    sentence = porthole.refused("run", "--name", "second", "--read-only", "--disk", image)
    assert "in use" in sentence
    # In one desktop neither.
    other = shutil.copy(image, os.path.join(folder, "other.img"))
    assert "in use" in porthole.refused("run", "--disk", other, "--disk", other)
    first.signal()
    assert first.ended() == 0
    readers = [desktops("--disk", image, "--read-only") for _ in range(2)]
    for reader in readers:
        reader.wait_text("MBR 12FA:", 10)
    assert "in use" in porthole.refused("run", "--name", "writer", "--disk", image)


def test_a_killed_desktop_leaves_no_trouble_behind(porthole, desktops, folder):
    screen = f"unix:{folder}/screen"
    for _ in range(2):
        desktop = desktops("--guest", "echo", "--vnc", screen, "--no-password", name="phoenix")
        assert os.path.exists(os.path.join(folder, "porthole/phoenix.sock"))
        desktop.signal(signal.SIGKILL)
        assert desktop.ended() == -signal.SIGKILL
        assert "no desktop" in porthole.refused("text", "--name", "phoenix")
        assert porthole.good("list") == ""
    desktop = desktops("--guest", "echo", "--vnc", screen, "--no-password", name="phoenix")
    desktop.key("a")
    desktop.run("stop")
    assert desktop.ended() == 0
    assert os.listdir(os.path.join(folder, "porthole")) in ([], ["ports"])
    assert not os.path.exists(os.path.join(folder, "screen"))


def test_a_killed_desktop_lets_go_of_its_image_as_last_written(desktops, folder, media):
    image = shutil.copy(media("mbr-disk.img"), folder)
    desktop = desktops("--disk", image)
    desktop.wait_text("MBR 12FA:", 10)
    desktop.signal(signal.SIGKILL)
    desktop.ended()
    desktops("--disk", image).wait_text("MBR 12FA:", 10)
    with open(image, "rb") as one, open(media("mbr-disk.img"), "rb") as other:
        assert one.read() == other.read()


# ---- How a desktop ends ----


@pytest.mark.parametrize("number, status", [
    (signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_a_desktop_with_its_status(desktops, folder, number, status):
    desktop = desktops("--guest", "demo")
    time.sleep(0.2)
    started = time.monotonic()
    desktop.signal(number)
    assert desktop.ended() == status
    assert time.monotonic() - started < 2
    assert desktop.errors == ""
    assert os.listdir(os.path.join(folder, "porthole")) in ([], ["ports"])


def test_stop_ends_a_desktop_that_never_looks(desktops, boot_sector):
    # cli; jmp $
    desktop = desktops(boot_sector(bytes.fromhex("faebfe")))
    desktop.run("stop")
    assert desktop.process.poll() == 0 or desktop.ended(1) == 0


def test_the_guests_debug_exit_is_the_status(desktops, boot_sector):
    # mov al, 2Ah; out 0F4h, al; jmp $
    code = boot_sector(bytes.fromhex("b02ae6f4ebfe"))
    assert desktops(code, "--read-only", "--debug-exit", announced=False).ended() == 42
    # Without being asked for, the port does nothing.
    desktop = desktops(code, "--read-only")
    time.sleep(0.5)
    desktop.check()


# Into protected mode with an interrupt table of no entries, and there UD2: it has no handler, and
# neither have the faults of that.
TRIPLE_FAULT = bytes.fromhex(
    "fa31c08ed8" "0f011e407c" "0f0116467c"  # cli; ds = 0; lidt [7C40h]; lgdt [7C46h]
    "0f20c00c010f22c0" "ea1e7c0800"         # set CR0.PE; jmp 8:7C1Eh
    ).ljust(0x1E, b"\x90") + (
        b"\x0f\x0b".ljust(0x22, b"\0") + bytes(6) + bytes.fromhex("1700507c0000")).ljust(
            0x32, b"\0") + bytes(8) + bytes.fromhex("ffff0000009b0000" "ffff000000930000")


def test_a_triple_fault_stops_where_that_is_asked(desktops, boot_sector):
    desktop = desktops(
        boot_sector(TRIPLE_FAULT), "--on-triple-fault", "stop", announced=False)
    assert desktop.ended() == 2
    assert re.fullmatch(r"porthole: d0: .*triple fault.*\n", desktop.errors), desktop.errors


def test_a_triple_fault_resets_otherwise_and_says_so(desktops, boot_sector):
    desktop = desktops(boot_sector(TRIPLE_FAULT))
    until(lambda: "triple fault; the desktop resets" in desktop.errors, 10, "it says so")
    desktop.check()
    desktop.run("stop")
    assert desktop.ended() == 0


@pytest.mark.parametrize("reset", ["b0fee664", "baf90cb006ee", "b001e692"], ids=[
    "keyboard-controller", "port-CF9", "port-92"])
def test_the_reset_ports_reset(desktops, boot_sector, folder, reset):
    # Says "R" on COM1, waits until that is out, resets: again and again.
    code = "bafb03b003ee" "baf803b052ee" "bafd03" "ec" "a840" "74fb" + reset + "ebfe"
    path = os.path.join(folder, "serial")
    desktop = desktops(
        boot_sector(bytes.fromhex(code)), "--read-only", "--serial", f"file:{path}")
    until(lambda: open(path).read().startswith("RRR"), 10, "three resets")
    desktop.check()
    desktop.run("stop")
    assert desktop.ended() == 0


# ---- What a process shows of itself ----


def threads(pid):
    """Name of each thread by its number."""
    names = {}
    for number in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{number}/comm") as file:
            names[int(number)] = file.read().strip()
    return names


def test_threads_have_names_that_top_shows(desktops):
    desktop = desktops("--guest", "demo", "--cpus", "3")
    names = list(threads(desktop.pid).values())
    for name in ("vcpu0", "vcpu1", "vcpu2", "display", "vnc-listen", "control", "signals"):
        assert names.count(name) == 1, names


def test_nice_and_taskset_act_on_a_desktop(desktops):
    desktop = desktops("--guest", "demo", wrap=("nice", "-n", "7", "taskset", "-c", "0"))
    for number in threads(desktop.pid):
        with open(f"/proc/{desktop.pid}/task/{number}/stat") as file:
            assert file.read().rsplit(")", 1)[1].split()[16] == "7"
        with open(f"/proc/{desktop.pid}/task/{number}/status") as file:
            assert re.search(r"^Cpus_allowed_list:\s+0$", file.read(), re.M)


def test_no_password_stands_where_other_users_can_read_it(desktops, folder):
    path = os.path.join(folder, "password")
    with open(path, "w") as file:
        file.write("opensesame\n")
    chosen = desktops("--guest", "echo", "--password-file", path)
    assert chosen.password == "opensesame"
    assert "first 8 bytes" in chosen.errors
    made = desktops("--guest", "echo")
    assert re.fullmatch(r"[a-z0-9]{8}", made.password)
    for desktop in (chosen, made):
        for file in ("cmdline", "environ", "comm"):
            with open(f"/proc/{desktop.pid}/{file}", "rb") as entry:
                assert desktop.password[:8].encode() not in entry.read()
    assert desktops("--guest", "echo").password != made.password


def test_only_this_host_can_reach_a_desktop_that_was_not_told_otherwise(desktops):
    desktop = desktops("--guest", "echo")
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            with open(table) as file:
                for line in file.readlines()[1:]:
                    fields = line.split()
                    if fields[3] == "0A" and fields[1].endswith(f":{desktop.port:04X}"):
                        listening.add(fields[1].split(":")[0])
    assert listening == {"0100007F"}


def test_vnc_none_opens_no_port(desktops):
    desktop = desktops("--guest", "echo", "--vnc", "none")
    assert desktop.port is None and "without VNC" in desktop.output
    assert "vnc-listen" not in threads(desktop.pid).values()
    desktop.key("a")


def test_the_serial_port_goes_where_it_is_told(desktops, boot_sector, folder):
    # Sets COM1 to 8 bits without parity, prints "Hi\n" there and halts.
    code = boot_sector(bytes.fromhex("bafb03b003ee" "baf803b048eeb069eeb00aee" "faf4"))
    path = os.path.join(folder, "serial")
    desktops(code, "--read-only", "--serial", f"file:{path}")
    until(lambda: os.path.exists(path) and open(path).read() == "Hi\n", 10, "the file's text")
    desktop = desktops(code, "--read-only", "--serial", "stdio")
    until(lambda: desktop.output == "Hi\n", 10, "standard output has the guest's bytes alone")
    assert "connect a VNC viewer" in desktop.errors


@pytest.mark.without_kvm
@pytest.mark.parametrize("arguments", [
    ("text",), ("screenshot", "x.png"), ("type", "x"), ("key", "a"), ("reset",), ("powerdown",),
    ("stop",)], ids=str)
def test_a_command_without_a_desktop_says_so(porthole, arguments):
    assert "no desktop runs" in porthole.refused(*arguments)


@pytest.mark.without_kvm
def test_the_power_button_asks_the_guest(desktops, porthole, boot_sector, folder):
    software = ("--engine", "software", "--vnc", "none")
    serial = os.path.join(folder, "serial")
    desktop = desktops("--guest", "button", "--serial", f"file:{serial}", *software)
    until(lambda: os.path.exists(serial) and "ready" in open(serial).read(), 10, "the guest")
    desktop.run("powerdown")
    assert desktop.ended() == 0
    assert open(serial).read().split() == ["ready", "pressed"]
    # One that listens, and then does nothing, is switched off when its time is over.
    idle = desktops(boot_sector(bytes.fromhex("b0f1e6b2" "ba0206" "b80001" "ef" "faf4")), *software)
    time.sleep(1)
    result = porthole("powerdown", "--name", idle.name, "--timeout", "1")
    assert result.returncode == 0 and "was not off after 1 s" in result.stderr
    assert idle.ended() == 0
    # One that does not listen runs on.
    deaf = desktops("--guest", "pulse", *software)
    assert "has not asked to be told" in porthole.refused("powerdown", "--name", deaf.name)
    assert deaf.ask("status")[0]["status"]["pid"] == deaf.pid
    assert "1 to 86400" in porthole.refused("powerdown", "--timeout", "0", status=64)


@pytest.mark.without_kvm
def test_mistakes_about_the_processor_are_sentences(porthole):
    def refused(cpu, **options):
        return porthole.refused(
            "run", "--engine", "software", "--vnc", "none", "--cpu", cpu, **options)

    assert "there are host, baseline, x86-64-v2" in refused("pentium", status=64)
    assert "the nearest name is avx2" in refused("host,+avx22", status=64)
    assert re.search(r"needs .*\bsvm\b.*, which this engine lacks", refused("host,+svm"))


def test_control_clients_that_misbehave_hurt_nobody(desktops, folder):
    desktop = desktops("--guest", "echo")

    def connect():
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(os.path.join(folder, "porthole", desktop.name + ".sock"))
        return client
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connect())
        garbage = stack.enter_context(connect())
        garbage.sendall(bytes(range(256)) * 64 + b"\n")
        assert b"bad-request" in garbage.recv(4096)
        flood = stack.enter_context(connect())
        with contextlib.suppress(OSError):
            flood.sendall(b"x" * (4 << 20))
        deaf = stack.enter_context(connect())
        deaf.sendall(b'{"v":1,"method":"screenshot"}\n' * 50)
        gone = connect()
        gone.sendall(b'{"v":1,"method":"screenshot"}\n' * 50)
        gone.close()
        reply, _ = desktop.ask("status")
        assert reply["id"] == 7 and reply["status"]["pid"] == desktop.pid
        desktop.signal()
        assert desktop.ended() == 0


@pytest.mark.without_kvm
def test_built_in_guests_are_listed_and_saved(porthole, folder):
    names = [line.split("\t")[0] for line in porthole.good("guest").splitlines()]
    assert {"demo", "echo", "firstlight"} <= set(names)
    path = os.path.join(folder, "demo.img")
    porthole.good("guest", "demo", "--write", path)
    with open(path, "rb") as file:
        contents = file.read()
    assert len(contents) == 1_474_560 and contents[510:512] == b"\x55\xaa"


@pytest.mark.without_kvm
def test_the_doctor_speaks_to_people_and_to_programs(porthole, doctor):
    result = porthole("doctor", "--json")
    assert result.returncode == 0
    shown = porthole("doctor").stdout
    assert f"--engine {json.loads(result.stdout)['engine']}:" in shown.splitlines()[-1]
    for entry in doctor:
        assert entry["name"] in shown
    assert {"name", "present", "needed", "meaning"} <= set(doctor[0])


@pytest.mark.without_kvm
def test_help_names_every_command_once(porthole):
    text = porthole.good("--help")
    for name in ("run", "screenshot", "text", "type", "key", "list", "reset", "powerdown",
                 "stop", "guest", "doctor"):
        assert len(re.findall(rf"^  {name} ", text, re.M)) == 1, name
    for name in ("run", "screenshot", "text", "type", "key", "list", "reset", "powerdown",
                 "stop", "guest", "doctor"):
        assert porthole.good(name, "--help").startswith("OVERVIEW")
    assert re.match(r"porthole \d+\.\d+", porthole.good("--version"))
