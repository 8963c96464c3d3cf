"""The verdict on a host: what it said, compared with what it must say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]

from tests.lab.hosts import Guest, Host, Record
from tests.lab.vm import LAST_LINES, Step

SCHEMA = Path(__file__).parents[2] / "kvmppc/record.schema.json"
# These keys differ from run to run; the kernel is compared with what uname says.
VARYING = {"version", "hostname", "time"}
EXIT_CODES = {"known": 0, "hint": 3, "unsupported": 3, "unavailable": 3, "error": 3}


def problems(host: Host, steps: Mapping[str, Step], headers: str) -> list[str]:
    """Return what is wrong with what a host said, a line each; nothing where all is right.

    `headers` are those that the package there was built against, "" for any.
    """
    wrong: list[str] = []
    expected_codes = {"probe": EXIT_CODES[str(host.record["status"])]}
    own = [f"qemu-{suite}" for suite in ("sid", *host.suites)] if host.guests else ["tests"]
    own += ["setup"] if host.setup else []
    for name in ("install", "uname", "version", "probe", *own):
        step, code = steps.get(name), expected_codes.get(name, 0)
        if step is None:
            wrong.append(f"  {name}: did not run")
        elif step.code != code:
            wrong.append(f"  {name}: exit code {step.code} instead of {code}")
            wrong += [f"    {line}" for line in (step.out + step.err).splitlines()[-LAST_LINES:]]
    if {"version", "probe", "uname"} <= steps.keys():
        wrong += _definitions(headers, steps["version"].out)
        kernel = steps["uname"].out.strip()
        wrong += _printed({**host.record, "kernel": kernel}, steps["probe"])
    for guest in host.guests:
        qemu = version_of(steps[f"qemu-{guest.suite}"].out)
        wrong += _guest(guest.with_qemu(qemu), steps.get(f"guest-{guest.name}"))
    return wrong


def version_of(text: str) -> tuple[int, ...]:
    """Return the version in what a QEMU says of itself."""
    match = re.search(r"version (\d+(?:\.\d+)*)", text)
    return tuple(map(int, match[1].split("."))) if match else ()


def _guest(guest: Guest, step: Step | None) -> list[str]:
    """Compare how a nested guest ended with how it must."""
    if step is None:
        return [f"  guest {guest.name}: was not started"]
    said = step.out + step.err
    if guest.says in said and (step.code == 0) == guest.boots and _foretold(step.out, guest.boots):
        return []
    shown = [f"    {line}" for line in said.splitlines()[-LAST_LINES:]]
    what = "boots" if guest.boots else "fails"
    return [f"  guest {guest.name}: no {guest.says!r}, or not what {what}, or not foretold", *shown]


def _foretold(text: str, boots: bool) -> bool:
    """Tell whether `kvmppc check`, where it was asked, said what happened."""
    code = re.search(r"^lab: check ended with (\d+)$", text, re.MULTILINE)
    if code is None:
        return True
    starts = code[1] == "0" and not re.search(r"^also: ", text, re.MULTILINE)
    return starts == boots


def _definitions(headers: str, version: str) -> list[str]:
    """Compare whose definitions were compiled in, which `kvmppc --version` tells."""
    found = set(re.findall(r"\b(own|fallback|differs)\b", version))
    if found == {headers} or (not headers and found in ({"own"}, {"fallback"})):
        return []
    return [f"  version: {version.strip()!r} instead of all {headers or 'the same'}"]


def _printed(expected: Record, probe: Step) -> list[str]:
    """Compare the record that was printed with the one expected."""
    try:
        got = json.loads(probe.out)
    except ValueError:
        got = None
    if not isinstance(got, dict):
        return [f"  probe: no JSON object: {probe.out!r}"]
    schema = json.loads(SCHEMA.read_text())
    invalid = jsonschema.Draft202012Validator(schema).iter_errors(got)
    return [
        *(f"  probe: against the schema: {error.message}" for error in invalid),
        *differences(expected, got),
    ]


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
