#!/usr/bin/env python3
"""Writes the manual pages of section 1 from what the command says of itself.

    man-pages.py PORTHOLE FOLDER

One page for the command and one for each of its subcommands (porthole-run.1, porthole-image-list.1),
from `porthole --experimental-dump-help`, so that a page never says what `--help` does not. What a
command cannot know of itself (files, the environment, exit statuses, other pages) stands here.
SOURCE_DATE_EPOCH is the pages' date.
"""

import json
import os
import re
import subprocess
import sys
import time

STATUSES = [
    ("0", "It was done; of a desktop: it was switched off, by its guest, by a command or by SIGTERM."),
    ("1", "It could not be done, or the desktop could not start or go on; a sentence says why."),
    ("2", "A triple fault of the guest, where \\fB--on-triple-fault\\fR says \\fBstop\\fR."),
    ("3", "\\fBporthole wait\\fR waited in vain."),
    ("64", "A mistake on the command line."),
    ("78", "\\fBporthole start --foreground\\fR: there is no such desktop, or its configuration has a"
           " mistake; another attempt would end the same."),
    ("130", "Ended by ctrl-C."),
]
ENVIRONMENT = [
    ("PORTHOLE_HOME", "The folder of desktops and images, instead of those below."),
    ("XDG_DATA_HOME", "Where a user's data lie; \\fI~/.local/share\\fR without it."),
    ("XDG_RUNTIME_DIR", "Where the control sockets of a user's running desktops are."),
]
FILES = [
    ("~/.local/share/porthole", "A user's desktops and images."),
    ("/var/lib/porthole", "Those of root, which \\fBporthole@\\fINAME\\fB.service\\fR starts with the"
                          " host."),
    ("/dev/kvm", "Open to group \\fBkvm\\fR; \\fBporthole doctor\\fR says what it can do."),
]


def escape(text):
    """Text as troff takes it: a backslash, a dash, and a dot or quote in front of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def prose(text):
    """A paragraph of help; what stands between backticks is bold."""
    parts = escape(text.strip()).split("`")
    return "".join(f"\\fB{part}\\fR" if number % 2 else part for number, part in enumerate(parts))


def paragraphs(text):
    """Paragraphs of help; one whose lines are all set in is an example, and keeps them."""
    lines = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        rows = part.split("\n")
        if all(row.startswith("  ") for row in rows):
            lines += [".PP", ".RS 2", ".EX", *(escape(row[2:]) for row in rows), ".EE", ".RE"]
        else:
            lines += [".PP", prose(" ".join(part.split()))]
    return "\n".join(lines[1:] if lines[0] == ".PP" and lines[1] != ".RS 2" else lines)


def spelling(name):
    return ("--" if name["kind"] == "long" else "-") + name["name"]


def bold(text):
    return f"\\fB{escape(text)}\\fR"


def value(argument):
    return f"\\fI{escape(argument['valueName'].upper())}\\fR"


def synopsis(command, arguments):
    """How a command is called: its options one by one, then what stands without a name."""
    lines = [f'.SY "{escape(command)}"']
    for argument in arguments:
        if argument["kind"] == "positional":
            text = value(argument)
        else:
            text = bold(spelling(argument["preferredName"]))
            if argument["kind"] == "option":
                text += f"\\ {value(argument)}"
        if argument["isOptional"]:
            text = f"[{text}]"
        if argument["isRepeating"]:
            text += "\\&..."
        lines.append(text)
    return [*lines, ".YS"]


def description(argument):
    """What an option means, with its default and the values that it takes where help lists them."""
    text = prose(argument.get("abstract", ""))
    details = argument.get("discussion")
    if details:
        text += "\n.IP\n" + prose(" ".join(details.split()))
    if argument.get("allValues"):
        values = ", ".join(bold(each) for each in argument["allValues"])
        text += f"\nOne of {values}."
    if argument.get("defaultValue") and argument["kind"] != "flag":
        text += f"\nThe default is {bold(argument['defaultValue'])}."
    return text


def entry(argument):
    if argument["kind"] == "positional":
        head = value(argument)
    else:
        head = ", ".join(bold(spelling(name)) for name in argument["names"])
        if argument["kind"] == "option":
            head += f" {value(argument)}"
    return [".TP", head, description(argument) or "\\&"]


def section(title, pairs):
    lines = [f".SH {title}"]
    for name, text in pairs:
        lines += [".TP", f"\\fB{name}\\fR", text]
    return lines


def reference(page):
    return f".BR {escape(page)} (1)"


class Pages:
    def __init__(self, folder, version, day):
        self.folder, self.version, self.day = folder, version, day

    def write(self, command, path):
        """The page of a command, whose words are `path`, and of those below it."""
        page = "-".join(path)
        below = [each for each in command.get("subcommands", [])
                 if each["commandName"] != "help" and each.get("shouldDisplay", True)]
        shown = [each for each in command.get("arguments", []) if each.get("shouldDisplay", True)]
        lines = [f'.TH {page.upper()} 1 {self.day} "{self.version}" "User Commands"', ".SH NAME",
                 f"{escape(page)} \\- {prose(command.get('abstract', '')).rstrip('.')}",
                 ".SH SYNOPSIS"]
        if below:
            lines += [f'.SY "{escape(" ".join(path))}"', "\\fICOMMAND\\fR", "[\\fIARGUMENTS\\fR]", ".YS"]
        else:
            lines += synopsis(" ".join(path), shown)
        lines += [".SH DESCRIPTION", paragraphs(command.get("discussion")
                                               or command.get("abstract", ""))]
        if below:
            lines.append(".SH COMMANDS")
            for each in below:
                lines += [".TP", reference(f"{page}-{each['commandName']}"),
                          prose(each.get("abstract", ""))]
        if shown:
            lines.append(".SH OPTIONS")
            for each in shown:
                lines += entry(each)
        if len(path) == 1:
            lines += section("EXIT STATUS", STATUSES)
            lines += section("ENVIRONMENT", ENVIRONMENT)
            lines += section("FILES", FILES)
        lines += self.see_also(path, below)
        with open(os.path.join(self.folder, f"{page}.1"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        for each in below:
            self.write(each, [*path, each["commandName"]])

    @staticmethod
    def see_also(path, below):
        if len(path) > 1:
            return [".SH SEE ALSO", reference("-".join(path[:-1]))]
        return [".SH SEE ALSO", ".BR vncviewer (1),", ".BR systemctl (1)"] if below else []


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} PORTHOLE FOLDER")
    program, folder = sys.argv[1:]

    def output(*arguments):
        return subprocess.run(
            [program, *arguments], check=True, capture_output=True, text=True).stdout
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    day = time.strftime("%Y-%m-%d", time.gmtime(moment))
    os.makedirs(folder, exist_ok=True)
    command = json.loads(output("--experimental-dump-help"))["command"]
    Pages(folder, output("--version").strip(), day).write(command, [command["commandName"]])


if __name__ == "__main__":
    main()
