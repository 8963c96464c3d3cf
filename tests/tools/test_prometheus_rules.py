"""The alert rules of examples/prometheus, tried by promtool on what hosts say over hours."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import kvmppc
from kvmppc.output import report_metrics
from kvmppc.testing import simulated_host

RULES = Path(__file__).parents[2] / "examples" / "prometheus" / "kvmppc.rules.yml"
HOUR = 60
# A host may not be there, or its file may stay as it was because nobody writes it any more.
AWAY, STALE = None, "stale"


@pytest.fixture(scope="module")
def promtool():
    path = shutil.which("promtool")
    if path is None:
        pytest.fail("promtool is not installed; it is in Debian's package prometheus")
    return path


def scraped(name):
    """The samples of a simulated host: metric with labels, and value."""
    with simulated_host(name):
        text = report_metrics(kvmppc.probe())
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def series(instance, *phases):
    """A host's series, a sample a minute: each phase is what it is, and for how many minutes."""
    values = {}
    now, last = 0, {}
    for what, minutes in phases:
        if what not in (AWAY, STALE):
            last = scraped(what)
        for sample, value in ({} if what is AWAY else last).items():
            text = values.setdefault(sample, [])
            text += ["_"] * (now - len(text))
            if sample == "kvmppc_probe_timestamp_seconds":
                asked = range(now, now + minutes) if what is not STALE else [now] * minutes
                text += [str(minute * 60) for minute in asked]
            else:
                text += [value] * minutes
        now += minutes
        # What is no longer scraped is marked stale.
        for text in values.values():
            if len(text) < now:
                text += ["stale"] + ["_"] * (now - len(text) - 1)
    return [
        {
            "series": re.sub(
                r"^(\w+)(?:{(.*)})?$",
                lambda m: f'{m[1]}{{job="node",instance="{instance}",{m[2] or ""}}}',
                sample,
            ).replace(",}", "}"),
            "values": " ".join(text),
        }
        for sample, text in values.items()
    ]


@pytest.fixture
def alerts(promtool, tmp_path):
    """Tells which instances or modes an alert is about at a minute."""

    def firing(alert, minute, *hosts):
        # promtool compares: nothing is expected, and it says what it got instead.
        test = {
            "rule_files": [str(RULES)],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [one for host in hosts for one in host],
                    "alert_rule_test": [
                        {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}
                    ],
                }
            ],
        }
        (tmp_path / "test.yml").write_text(json.dumps(test))
        run = subprocess.run(
            [promtool, "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True
        )
        said = run.stdout + run.stderr
        if run.returncode == 0:
            return set()
        assert f"alertname: {alert}, time:" in said, said
        got = said.partition("got:")[2]
        found = re.findall(r"Labels:{(.*?)}\s+Annotations:", got)
        assert found, said
        assert got.count('summary="') == len(found), said
        key = "mode" if "mode=" in found[0] else "instance"
        return {re.search(rf'\b{key}="(.*?)"', labels)[1] for labels in found}

    return firing


def test_promtool_has_nothing_to_object_to(promtool):
    run = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_fleet_where_all_is_well_is_silent(alerts):
    fleet = [series("a", ("power11-v2", 5 * HOUR)), series("b", ("power10", 5 * HOUR))]
    for alert in re.findall(r"alert: (\w+)", RULES.read_text()):
        assert alerts(alert, 4 * HOUR, *fleet) == set()


@pytest.mark.parametrize("then", ["no-permission", AWAY])
def test_a_host_that_stopped_answering(alerts, then):
    fleet = [
        series("stopped", ("power10", HOUR), (then, 2 * HOUR)),
        series("fine", ("power10", 3 * HOUR)),
        series("never", ("linux-6.12", 3 * HOUR)),
    ]
    alert = "KvmppcHostStoppedAnswering"
    assert alerts(alert, HOUR - 1, *fleet) == set()
    assert alerts(alert, HOUR + 5, *fleet) == set()
    assert alerts(alert, HOUR + 30, *fleet) == {"stopped"}


def test_a_host_that_nobody_asks_any_more(alerts):
    fleet = [
        series("forgotten", ("power10", HOUR), (STALE, 6 * HOUR)),
        series("fine", ("power10", 7 * HOUR)),
    ]
    assert alerts("KvmppcMetricsOld", 3 * HOUR, *fleet) == set()
    assert alerts("KvmppcMetricsOld", 5 * HOUR, *fleet) == {"forgotten"}


def test_the_common_mode_fell(alerts):
    fleet = [
        series("a", ("power11-v2", 4 * HOUR)),
        series("b", ("power11-v2", HOUR), ("power11-as-power10", 3 * HOUR)),
    ]
    assert alerts("KvmppcCommonModeFell", HOUR - 1, *fleet) == set()
    assert alerts("KvmppcCommonModeFell", 2 * HOUR, *fleet) == {"power11"}


def test_the_common_mode_does_not_rise_and_fall_with_a_host_that_is_away(alerts):
    fleet = [
        series("a", ("power11-v2", 4 * HOUR)),
        series("b", ("power10", HOUR), (AWAY, HOUR), ("power10", 2 * HOUR)),
    ]
    assert alerts("KvmppcCommonModeFell", 3 * HOUR, *fleet) == set()


def test_a_host_in_an_older_mode_than_its_processor(alerts):
    fleet = [
        series("older", ("power11-as-power10", HOUR)),
        series("own", ("power10", HOUR)),
        series("other", ("linux-6.12", HOUR)),
    ]
    assert alerts("KvmppcHostInCompatibilityMode", 30, *fleet) == {"older"}
