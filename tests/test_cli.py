"""The command line: its stable interface, its help, and one line for each error."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from implicit_bias.mnist import recording
from implicit_bias.mnist.cli import main
from implicit_bias.mnist.configuration import EXPERIMENT, SEARCH
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.recording import Recording
from implicit_bias.mnist.sweep import record

SMALL = ["--sigmas", "0.02", "0.2", "--seeds", "1", "--alpha", "0.5", "--steps", "10"]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
COMMANDS = ["sweep", "search-step-size", "figures", "experiment", "benchmark"]


@pytest.fixture
def fails(capsys):
    """Run the command line, which must fail with the given status and one line; return the line."""

    def run(status, *words):
        try:
            found = main([str(word) for word in words])
        except SystemExit as stop:
            found = stop.code
        captured = capsys.readouterr()
        assert (found, captured.out) == (status, "")
        (line,) = captured.err.splitlines()
        return line

    return run


@pytest.mark.parametrize(
    "words, message",
    [
        (["--sigmas", "0"], "--sigmas: '0'"),
        (["--sigmas", "-1"], "--sigmas: '-1'"),
        (["--sigmas", "nan"], "'nan'"),
        (["--sigmas", "0.2", "inf"], "'inf'"),
        (["--sigmas", "much"], "'much'"),
        (["--sigmas", "1e60"], "sigma = 1e+60: a number in [1e-30, 1e9] is needed"),
        (["--sigmas"], "--sigmas"),
        (["--sigmas", "0.2", "0.2"], "0.2 is given twice"),
        (["--alpha", "nan"], "--alpha: 'nan'"),
        (["--steps", "9"], "--steps: '9'"),
        (["--steps", "10.5"], "--steps: '10.5'"),
        (["--seeds", "0"], "--seeds: '0'"),
        (["--seeds", "1000000000000"], "--seeds: '1000000000000' is not a whole number from 1 to 10000"),
        (["--device", "abacus"], "abacus"),
        (["--device", "cuda:99"], "not available on this machine"),
        (["--threads", "0"], "--threads: '0'"),
        (["--threads", "100000"], "threads = 100000"),
        (["--jobs", "100000"], "jobs = 100000"),
        (["--group-size", "0"], "--group-size: '0'"),
        (["--address", "inproc://1"], "address = 'inproc://1'"),
        (["--address", "tcp://there:door"], "address = 'tcp://there:door'"),
        (["--mystery"], "--mystery"),
    ],
)
def test_bad_value_of_sweep_is_one_line_and_status_2(fails, tmp_path, words, message):
    assert message in fails(2, "sweep", "--out", tmp_path / "x.json", *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words, message",
    [
        (["search-step-size", "--sigma", "0"], "--sigma: '0'"),
        (["search-step-size", "--alphas", "1", "-1"], "--alphas: '-1'"),
        (["search-step-size", "--alphas", "1", "1"], "given twice"),
        (["search-step-size", "--target", "1"], "--target: '1'"),
        (["experiment", "--results", "nowhere"], "--results: nowhere is not a folder"),
        (["benchmark", "--repetitions", "0"], "--repetitions: '0'"),
        (["fly"], "fly"),
    ],
)
def test_bad_value_of_another_command_is_one_line_and_status_2(fails, words, message):
    assert message in fails(2, *words)


@pytest.mark.parametrize("command", ["sweep", "search-step-size", "benchmark"])
def test_place_for_the_result_is_looked_at_before_the_data_are_read(fails, tmp_path, command, monkeypatch):
    monkeypatch.setattr("implicit_bias.mnist.cli.load_mnist", None)  # would fail if it were called
    assert "none does not exist" in fails(2, command, "--out", tmp_path / "none" / "x.json")
    assert "is a folder" in fails(2, command, "--out", tmp_path)
    assert "File name too long" in fails(2, command, "--out", tmp_path / ("x" * 300))
    precious = tmp_path / "x.json"
    precious.write_text("{}")
    assert "x.json" in fails(2, command, "--out", precious)
    assert precious.read_text() == "{}"


def test_wrong_data_are_one_line_and_status_1(fails, stand_in, tmp_path):
    file = stand_in / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    line = fails(1, "sweep", *SMALL, "--mnist-root", stand_in, "--out", tmp_path / "x.json")
    assert "t10k-labels-idx1-ubyte: wrong or truncated" in line
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interruption_is_one_line_and_status_130(fails, stand_in, tmp_path, monkeypatch, how):
    monkeypatch.setattr("implicit_bias.mnist.trainer.train", lambda *rest, **more: os.kill(os.getpid(), how))
    before = signal.getsignal(how)
    assert "interrupted" in fails(130, "sweep", *SMALL, "--mnist-root", stand_in, "--out", tmp_path / "x.json")
    assert signal.getsignal(how) == before and list(tmp_path.iterdir()) == [stand_in]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_gives_each_options_default(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out.split("\noptions:\n")[1]
    described = re.split(r"^  (?=-)", shown, flags=re.MULTILINE)[2:]  # the first is --help
    assert len(described) >= 2
    for option in described:
        assert option.startswith("--") and "(default: " in " ".join(option.split()), option


def test_without_a_command_the_commands_are_listed(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^ +{command}\s+\S", shown, re.MULTILINE) for command in COMMANDS)


def test_help_of_the_experiment_starts_nothing(monkeypatch):
    monkeypatch.setattr("implicit_bias.mnist.experiment.run_again", None)  # would fail if it were called
    with pytest.raises(SystemExit, match="0"):
        main(["experiment", "--help"])


def test_experiment_is_run_on_the_data_and_the_workers_asked_for(stand_in, tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr("implicit_bias.mnist.experiment.run_again", lambda *rest, **more: calls.append((rest, more)))
    assert main(["experiment", "--mnist-root", str(stand_in), "--threads", "2", "--results", str(tmp_path)]) == 0
    ((data, results), options), = calls  # fmt: skip
    assert len(data.train_labels) == 300 and results == tmp_path and options["workers"].threads == 2


def test_sweep_writes_one_recording_with_plain_names(stand_in, tmp_path, capsys):
    out = tmp_path / "sweep.json"
    assert main(["sweep", *SMALL, "--seeds", "2", "--mnist-root", str(stand_in), "--out", str(out)]) == 0
    assert "4 runs of 10 steps, 0 diverged" in capsys.readouterr().out
    content = json.loads(out.read_text())
    assert content["configuration"]["seeds"] == [0, 1]
    assert [(run["sigma"], run["seed"]) for run in content["runs"]] == [(0.02, 0), (0.02, 1), (0.2, 0), (0.2, 1)]
    for run in content["runs"]:
        assert run["step"] == list(range(11))
        assert len(run["loss"]) == len(run["train_error"]) == len(run["stable_rank"]) == 11
    assert [path for path in tmp_path.iterdir() if path != stand_in] == [out]


def test_search_prints_each_step_sizes_fate(stand_in, tmp_path, capsys):
    out = tmp_path / "search.json"
    words = ["search-step-size", "--alphas", "0.0001", "0.5", "1e30", "--steps", "20", "--target", "0.2"]
    assert main([*words, "--mnist-root", str(stand_in), "--out", str(out)]) == 0
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert "never below 0.2" in first and "below 0.2 after" in second and "diverged at step" in third
    assert str(out) in last and recording.load(out, "step-size-search").configuration["sigma"] == 0.02


@pytest.fixture
def recorded(tmp_path):
    out = tmp_path / "sweep.json"
    record(EXPERIMENT.__class__((0.02, 0.2), (0, 1), 0.5, 10, 0.05, 9), synthetic_mnist(100), out)
    return out


def test_figures_are_drawn_as_pdf_and_svg(recorded, tmp_path, capsys):
    assert main(["figures", "--recording", str(recorded), "--out", str(tmp_path / "new" / "figures")]) == 0
    drawn = sorted((tmp_path / "new" / "figures").iterdir())
    assert [path.suffix for path in drawn] == [".pdf", ".svg"] * 3
    assert all(path.read_bytes().startswith((b"%PDF", b"<?xml")) for path in drawn)
    assert sorted(capsys.readouterr().out.split()) == [str(path) for path in drawn]


def test_figures_on_a_full_disk_are_one_line_and_no_half_file(recorded, tmp_path):
    """A limit on the size of a file stands in for the disk."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    words = ["figures", "--recording", recorded, "--out", tmp_path / "figures"]
    command = [sys.executable, "-m", "implicit_bias", *words]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=limit, timeout=120)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "stable-rank.pdf: cannot be written (File too large)" in done.stderr
    assert list((tmp_path / "figures").iterdir()) == []


def test_figures_of_a_bad_recording_are_refused(fails, recorded, tmp_path):
    assert "there is no such recording" in fails(1, "figures", "--recording", tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{")
    assert "damaged" in fails(1, "figures", "--recording", tmp_path / "x.json")
    found = recording.load(recorded)
    found.runs[1] |= {"diverged_at": 0, "loss": [], "train_error": [], "stable_rank": [], "singular_values": {}}
    recording.save(found, recorded)
    line = fails(1, "figures", "--recording", recorded, "--out", tmp_path / "figures")
    assert "sigma = 0.02 and seed 1 diverged before its first step" in line
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("command, configuration", [("sweep", EXPERIMENT), ("search-step-size", SEARCH)])
def test_defaults_are_the_experiments(command, configuration, stand_in, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "implicit_bias.mnist.cli.record", lambda what, *rest: asked.append(what) or Recording("", {}, [], 0.0)
    )
    main([command, "--mnist-root", str(stand_in), "--out", str(tmp_path / "x.json")])
    assert asked == [configuration]
    assert EXPERIMENT.sigmas == (0.0002, 0.002, 0.02, 0.2, 2.0) and len(EXPERIMENT.seeds) >= 5
    assert SEARCH.sigma == 0.02 and SEARCH.target == 0.05


@pytest.mark.slow
def test_interrupted_processes_end_soon(tmp_path):
    """Ctrl-C reaches the workers too: still one line and no traceback. And none of them stays."""
    program = """if True:
        import sys
        from implicit_bias.mnist import cli, data
        cli.load_mnist = lambda root: data.synthetic_mnist(5000)
        if __name__ == "__main__":
            sys.exit(cli.main(sys.argv[1:]))
    """
    script, out = tmp_path / "program.py", tmp_path / "x.json"
    script.write_text(program)
    words = [
        "search-step-size",
        "--alphas",
        "1e30",
        "0.5",
        "--target",
        "0.0001",
        "--steps",
        "1000000",
        "--group-size",
        "1",
        "--jobs",
        "2",
        "--out",
    ]
    command = [sys.executable, script, *words, out]
    running = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    with running:
        try:
            deadline = time.monotonic() + 90
            while not list(tmp_path.glob("x.json.parts/*.json")) and time.monotonic() < deadline:
                time.sleep(0.05)
            os.killpg(running.pid, signal.SIGINT)
            _, said = running.communicate(timeout=60)  # until the last worker has closed stderr
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 130
    assert said == "implicit-bias search-step-size: interrupted; the same command goes on from what is finished\n"


@pytest.mark.slow
def test_module_runs_the_stable_interface_on_real_mnist(mnist, tmp_path):
    out = tmp_path / "sweep.json"
    command = [sys.executable, "-m", "implicit_bias", "sweep", *SMALL, "--out", out]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    found = recording.load(out, "sweep")
    assert found.data == {"source": "mnist", "checksum": mnist.checksum} and len(found.runs) == 2
