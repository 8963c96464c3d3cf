"""The verdict on a host: what it said, compared with what it must say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from tests.lab.hosts import Guest, Host, Record
from tests.lab.vm import LAST_LINES, Step

# These keys differ from run to run; the kernel is compared with what uname says.
VARYING = {"version", "hostname", "time"}
EXIT_CODES = {"known": 0, "hint": 3, "unsupported": 3, "unavailable": 3, "error": 3}


def problems(host: Host, steps: Mapping[str, Step]) -> list[str]:
    """Return what is wrong with what a host said, a line each; nothing where all is right."""
    wrong: list[str] = []
    expected_codes = {"probe": EXIT_CODES[str(host.record["status"])]}
    own = ("qemu",) if host.guests else ("tests",)
    for name in ("install", "uname", "version", "probe", *own):
        step, code = steps.get(name), expected_codes.get(name, 0)
        if step is None:
            wrong.append(f"  {name}: did not run")
        elif step.code != code:
            wrong.append(f"  {name}: exit code {step.code} instead of {code}")
            wrong += [f"    {line}" for line in (step.out + step.err).splitlines()[-LAST_LINES:]]
    if {"version", "probe", "uname"} <= steps.keys():
        wrong += _definitions(host.headers, steps["version"].out)
        kernel = steps["uname"].out.strip()
        wrong += _printed({**host.record, "kernel": kernel}, steps["probe"])
    if host.guests and "qemu" in steps:
        qemu = version_of(steps["qemu"].out)
        for guest in host.guests:
            if not guest.before or qemu < guest.before:
                wrong += _guest(guest, steps.get(f"guest-{guest.name}"))
    return wrong


def version_of(text: str) -> tuple[int, ...]:
    """Return the version in what a QEMU says of itself."""
    match = re.search(r"version (\d+(?:\.\d+)*)", text)
    return tuple(map(int, match[1].split("."))) if match else ()


def _guest(guest: Guest, step: Step | None) -> list[str]:
    """Compare how a nested guest ended with how it must."""
    if step is None:
        return [f"  guest {guest.name}: was not started"]
    if guest.says in step.out and (step.code == 0) == guest.boots:
        return []
    shown = [f"    {line}" for line in (step.out + step.err).splitlines()[-LAST_LINES:]]
    return [f"  guest {guest.name}: exit code {step.code}, and no {guest.says!r}?", *shown]


def _definitions(headers: str, version: str) -> list[str]:
    """Compare whose definitions were compiled in, which `kvmppc --version` tells."""
    found = set(re.findall(r"\b(own|fallback|differs)\b", version))
    if found == {headers}:
        return []
    return [f"  version: {version.strip()!r} instead of all {headers}"]


def _printed(expected: Record, probe: Step) -> list[str]:
    """Compare the record that was printed with the one expected."""
    try:
        got = json.loads(probe.out)
    except ValueError:
        got = None
    if not isinstance(got, dict):
        return [f"  probe: no JSON object: {probe.out!r}"]
    return differences(expected, got)


def differences(expected: Record, got: dict[str, object]) -> list[str]:
    """Compare a record with the one expected, key by key."""
    wrong = [f"  probe: {key}: missing" for key in sorted(VARYING - got.keys())]
    for key in sorted((expected.keys() | got.keys()) - VARYING):
        if key not in expected:
            wrong.append(f"  probe: {key}: unexpected: {got[key]!r}")
        elif key not in got:
            wrong.append(f"  probe: {key}: missing")
        elif got[key] != expected[key] or type(got[key]) is not type(expected[key]):
            wrong.append(f"  probe: {key}: {got[key]!r} instead of {expected[key]!r}")
    return wrong
