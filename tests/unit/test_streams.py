"""Answers are whole or an error, and messages cost no answer, with streams as shells have them."""

import fcntl
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time

import pytest
from program import PROGRAM

import kvmppc
from kvmppc.commands import UsageError
from kvmppc.commands.outputfile import write_file
from kvmppc.testing import simulated_host

UNBUFFERED = {**os.environ, "PYTHONUNBUFFERED": "1"}
both_ways = pytest.mark.parametrize("environment", [None, UNBUFFERED], ids=["buffered", "not"])


def shell(script, *words, **options):
    """A shell's script, in which $kvmppc is the command and $1 the first of the words."""
    script = f'kvmppc="{PROGRAM}"; {script}'
    return subprocess.run(["sh", "-c", script, "sh", *words], capture_output=True, **options)


@pytest.fixture
def guest(tmp_path):
    """A domain of 300 kB, more than a pipe holds, and what it is once it is mended."""
    os_element = "<os><type arch='ppc64le'>hvm</type></os>"
    text = (
        f"<domain type='kvm'>{os_element}<cpu mode='host-passthrough'/>"
        f"<description>{'x' * 300_000}</description></domain>"
    )
    mended = "<cpu mode='host-model' check='none'><model>power10</model></cpu>"
    path = tmp_path / "guest.xml"
    path.write_text(text)
    return str(path), text.replace("<cpu mode='host-passthrough'/>", mended).encode()


@pytest.fixture
def records(tmp_path):
    """A file with the records of 300 hosts whose names are long."""
    with simulated_host("power10"):
        record = {**kvmppc.probe().to_dict(), "simulated": None}
    path = tmp_path / "records"
    lines = [json.dumps({**record, "hostname": f"host{number}"}) + "\n" for number in range(300)]
    path.write_text("".join(lines))
    return str(path)


FIX = "check --fix --simulate power11-as-power10"


# Standard output


@both_ways
@pytest.mark.parametrize("words", [FIX, f"{FIX} --in-place"])
def test_a_file_that_may_not_grow_is_an_error(words, guest, environment, tmp_path):
    path, _ = guest
    out = tmp_path / "out"
    before = sorted(os.listdir(tmp_path))
    done = shell(f'ulimit -f 8; exec $kvmppc {words} "$1" > "$2"', path, out, env=environment)
    assert done.returncode == 2
    assert b": File too large" in done.stderr
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "out"])


@both_ways
def test_a_full_disk_is_an_error(records, environment):
    done = shell('exec $kvmppc baseline --json "$1" > /dev/full', records, env=environment)
    assert done.returncode == 2
    assert b"cannot write to standard output: No space left on device" in done.stderr


@both_ways
def test_a_pipe_that_does_not_block_gets_all(guest, environment):
    path, mended = guest
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    with subprocess.Popen(
        [PROGRAM, *FIX.split(), path], stdout=writer, stderr=subprocess.PIPE, env=environment
    ) as process:
        os.close(writer)
        with open(reader, "rb") as pipe:
            assert pipe.read() == mended
    assert process.returncode == 0


@both_ways
def test_a_reader_that_goes_in_the_middle_ends_the_command(guest, environment):
    script = f'{{ $kvmppc {FIX} "$1"; echo $? >&2; }} | head -c 1'
    done = shell(script, guest[0], env=environment)
    assert done.stderr.endswith(b"141\n")


# Standard error


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "2</dev/null"])
@both_ways
def test_no_message_goes_to_standard_output_or_costs_the_answer(closed, guest, environment):
    path, mended = guest
    done = shell(f'exec $kvmppc {FIX} "$1" {closed}', path, env=environment)
    assert (done.returncode, done.stdout) == (0, mended)


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_a_wrong_word_exits_2_also_where_that_cannot_be_said(closed):
    done = shell(f"exec $kvmppc --wrong {closed}")
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(("xml", "code"), [(b"<network/>", 0), (b"", 0)])
def test_the_hook_lets_a_guest_start_where_it_cannot_say_what_is_wrong(closed, xml, code):
    hook = os.path.join(os.path.dirname(__file__), "../../examples/libvirt-hook")
    script = f'exec "$1" "$2" guest prepare begin - {closed}'
    done = shell(script, sys.executable, hook, input=xml)
    assert (done.returncode, done.stdout) == (code, b"")


def test_a_message_is_one_line_of_a_length_that_can_be_read(tmp_path):
    (tmp_path / "record").write_text(json.dumps({"schema": "\x1b\n" + "x" * 900_000}))
    (tmp_path / "long").write_bytes(b"<" + b"x" * 3_000_000 + b"/>")
    for words in (["advise", "--for", "qemu", "--report"], ["check"], ["baseline"]):
        for name in ("record", "long"):
            done = shell('exec $kvmppc "$@"', *words, tmp_path / name)
            assert done.returncode == 2
            assert done.stderr.count(b"\n") == 1
            assert len(done.stderr) < 10_000


def test_what_was_typed_reaches_the_terminal_escaped():
    for words in (["-q", "--device", "\x1b[31m"], ["\x1b[31m"], ["--\x1b[31m"], ["decode", "\x1b"]):
        done = shell('exec $kvmppc "$@"', *words)
        assert done.returncode in (2, 3)
        assert done.stderr.rstrip(b"\n").decode().isprintable()


# Standard input


@pytest.mark.parametrize("words", [["baseline", "--json", "-"], ["check", "-"]])
def test_standard_input_that_does_not_block_is_read_to_its_end(words, records, guest):
    with open(records if words[0] == "baseline" else guest[0], "rb") as file:
        data = file.read()
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_NONBLOCK)
    with subprocess.Popen([PROGRAM, *words], stdin=reader, stdout=subprocess.PIPE) as process:
        os.close(reader)
        with open(writer, "wb", buffering=0) as pipe:
            for start in range(0, len(data), 50_000):
                pipe.write(data[start : start + 50_000])
                time.sleep(0.02)  # so that the reader finds it empty
        out = process.stdout.read()
    if words[0] == "baseline":
        assert json.loads(out)["hosts"] == 300
    else:
        assert process.returncode == 3  # read whole: it is a domain, and no host can tell
        assert out.startswith(b"unknown: ")


# Faults of its own


def crash(error, *words):
    """Runs a command that fails by itself."""
    code = (
        "import sys, kvmppc.commands.hosts as hosts\n"
        "from kvmppc.cli import main\n"
        f"def run(_): raise {error}\n"
        "hosts.run = run\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "hosts", *words], capture_output=True, text=True, cwd="/"
    )


def test_a_fault_of_its_own_is_no_answer_but_a_code_of_its_own_and_a_line():
    done = crash("RuntimeError('\\x1b[31m')")
    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr == (
        "kvmppc: internal error: RuntimeError: \\x1b[31m; "
        "report it with the output of --traceback\n"
    )


def test_the_traceback_is_there_for_who_asks_for_it():
    done = crash("RuntimeError('oops')", "--traceback")
    assert done.returncode == 70
    assert done.stderr.startswith("kvmppc: Traceback (most recent call last):\n")
    assert done.stderr.endswith("kvmppc: RuntimeError: oops\n")


def test_no_memory_is_no_answer_either():
    done = crash("MemoryError()")
    assert done.returncode == 70
    assert done.stderr.startswith("kvmppc: out of memory; ")


def test_records_nested_without_end_cost_none_beside_them(records, tmp_path):
    with open(records, "ab") as file:
        for depth in (900, 3_000, 100_000):
            file.write(b'{"schema": 1, "version": ' + b"[" * depth + b"]" * depth + b"}\n")
            file.write(b'{"schema": ' + b"[" * depth + b"]" * depth + b"}\n")
    done = shell('exec $kvmppc baseline --json "$1"', records)
    assert done.returncode == 2
    answer = json.loads(done.stdout)
    assert (answer["hosts"], answer["known"], len(answer["unknown"])) == (306, 300, 6)
    assert done.stderr.count(b"\n") == 6


def test_a_folder_is_read_however_deep_it_is(records, tmp_path):
    script = 'cd "$1"; for i in $(seq 1500); do mkdir d && cd d; done'
    shell(script, tmp_path)
    try:
        done = shell('exec $kvmppc baseline --json "$1"', tmp_path)
    finally:
        # pytest itself could not.
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["hosts"] == 300


# --output


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/3", "/proc/self/fd/3", "/dev/fd/../fd/3"])
def test_what_the_shell_has_opened_is_gone_on_with(path, tmp_path):
    out = tmp_path / "out"
    out.write_text("before\n")
    link = tmp_path / "link"
    link.symlink_to(path)
    script = (
        '{ echo head; $kvmppc -q --simulate power9 --output "$2"; '
        '$kvmppc -q --simulate power9 --output "$3"; echo foot; } 3>&1 >> "$1"'
    )
    if path != "/dev/stdout":
        script = script.replace('3>&1 >> "$1"', '>> "$1" 3>&1')
    done = shell(script, out, path, link)
    assert (done.returncode, done.stderr) == (0, b"")
    assert out.read_text() == "before\nhead\npower9\npower9\nfoot\n"


def test_a_file_can_be_written_where_standard_output_is_closed(tmp_path):
    done = shell('exec $kvmppc -q --simulate power9 --output "$1" >&-', tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out").read_text() == "power9\n"


def output(path, *words, **options):
    return shell('exec $kvmppc -q --simulate power9 --output "$@"', path, *words, **options)


@pytest.mark.parametrize("name", ["new/", "new/.", "."])
def test_a_folder_is_no_file(name, tmp_path):
    done = output(f"{tmp_path}/{name}")
    assert done.returncode == 2
    assert os.listdir(tmp_path) == []


def test_set_id_bits_are_not_kept(tmp_path):
    path = tmp_path / "out"
    path.touch()
    path.chmod(0o6750)
    assert output(path).returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")


@root
def test_owner_and_group_are_kept(tmp_path):
    path = tmp_path / "out"
    path.touch()
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    assert output(path).returncode == 0
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 2345, 0o640)


@root
def test_a_file_whose_owner_cannot_be_kept_is_left_alone():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "out")
        with open(path, "w") as file:
            file.write("old")
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setgid(1234)
            os.setuid(1234)
            try:
                write_file(path, "new")
            except UsageError as error:
                os._exit(7 if "cannot keep its owner and group" in str(error) else 8)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert os.listdir(folder) == ["out"]
        with open(path) as file:
            assert file.read() == "old"


@root
def test_a_link_that_another_user_put_in_a_shared_folder_is_not_followed(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    target = tmp_path / "target"
    target.write_text("old")
    (shared / "out").symlink_to(target)
    os.chown(shared / "out", 1234, 1234, follow_symlinks=False)
    done = output(shared / "out")
    assert done.returncode == 2
    assert b"a symbolic link of another user; give the path of the file itself" in done.stderr
    assert target.read_text() == "old"
    os.chown(shared / "out", 0, 0, follow_symlinks=False)
    assert output(shared / "out").returncode == 0
    assert target.read_text() == "power9\n"


def test_links_in_a_circle_are_told(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert b"too many levels of symbolic links" in output(tmp_path / "a").stderr


def test_a_signal_in_the_middle_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "out"
    code = (
        "import os, signal\n"
        "from kvmppc.commands import outputfile\n"
        "fsync = os.fsync\n"
        "def interrupted(descriptor):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    fsync(descriptor)\n"
        "os.fsync = interrupted\n"
        f"outputfile.write_file({str(path)!r}, 'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd="/")
    assert done.returncode == -signal.SIGTERM
    assert os.listdir(tmp_path) == ["out"]
    assert path.read_text() == "new"


# The environment

ODD = {
    "LC_ALL": "tr_TR.UTF-8",
    "LANGUAGE": "de",
    "PYTHONIOENCODING": "utf-16",
    "PYTHONUTF8": "0",
    "PYTHONUNBUFFERED": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "COLUMNS": "10",
    "TZ": "Asia/Kathmandu",
    "TERM": "xterm-256color",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "HOME": "/nonexistent",
    "TMPDIR": "/nonexistent",
    "KVMPPC_SIMULATE": "power10",
}


@pytest.mark.parametrize(
    "words",
    [
        "probe --json --simulate power10",
        "probe --format shell --simulate linux-6.12",
        "probe --format metrics --simulate power11",
        "probe --simulate no-nesting",
        "probe -q",
        "probe --simulate nothing",
        "advise --for libvirt --simulate power11",
        "check - --simulate power11-as-power10",
        "check --fix - --simulate power11-as-power10",
        "decode 0x6000000000000000",
        "doctor --simulate power10",
        "baseline --json -",
    ],
)
def test_no_variable_changes_an_answer(words, guest, records):
    def run(environment):
        with open(records if words.startswith("baseline") else guest[0], "rb") as file:
            done = subprocess.run(
                [PROGRAM, *words.split()], stdin=file, capture_output=True, env=environment
            )
        moments = rb"\d{4}-\d\d-\d\dT[\d:]+Z|(?<=timestamp_seconds )\d+"
        return done.returncode, re.sub(moments, b"", done.stdout), done.stderr

    # PYTHONPATH is how the package is found in a distribution's build root.
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    assert run({**os.environ, **ODD}) == run(kept)
