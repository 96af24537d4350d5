"""The processor in software runs what it promises, with a wide margin for a busy host."""

import pytest

MODES = ("real", "protected", "long")
MIXES = ("integer", "branch", "call", "memory")
# Millions of instructions a second: a tenth of what an idle host reaches.
LEAST = 20


@pytest.mark.without_kvm
@pytest.mark.limit(120)
def test_instruction_mixes_run_in_every_mode(porthole):
    output = porthole.good("run", "--guest", "mixes", "--engine", "software", "--vnc", "none",
                           "--serial", "stdio", "--debug-exit", timeout=110)
    lines = [line.split() for line in output.splitlines()]
    rates = {(line[0], line[1]): float(line[2]) for line in lines if len(line) == 3}
    assert ["done"] in lines
    for mode in MODES:
        for mix in MIXES:
            assert rates[mode, mix] > LEAST, f"{mode} {mix}: {output}"
