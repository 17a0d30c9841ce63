"""The command line: its stable interface, its help, and one line for each error."""

import json
import os
import re
import resource
import runpy
import signal
import subprocess
import sys
import time
from contextlib import suppress
from unittest.mock import Mock

import pytest
from implicit_bias.mnist import cli, experiment, recording, trainer
from implicit_bias.mnist.cli import main
from implicit_bias.mnist.configuration import EXPERIMENT, SEARCH, Configuration
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.recording import Recording
from implicit_bias.mnist.sweep import record
from matplotlib.figure import Figure

SMALL = ["--sigmas", "0.02", "0.2", "--seeds", "1", "--alpha", "0.5", "--steps", "10"]
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
        ("sweep --sigmas 0", "sigma = 0.0: a number in [1e-30, 1e9] is needed"),
        ("sweep --sigmas much", "--sigmas: invalid float value: 'much'"),
        ("sweep --sigmas", "--sigmas"),
        ("sweep --steps 10.5", "--steps: invalid int value: '10.5'"),
        (f"sweep --steps 1{400 * '0'}", "int too large"),
        ("sweep --seeds 0", "seeds = 0"),
        ("sweep --seeds 1000000000000", "seeds = 1000000000000: a number in [1, 10000] is needed"),
        ("sweep --device cuda:99", "device = 'cuda:99': not available on this machine"),
        ("sweep --jobs 100000", "jobs = 100000"),
        ("sweep --address inproc://1", "address = 'inproc://1'"),
        ("sweep --mystery", "--mystery"),
        ("search-step-size --alphas 1 -1", "alpha = -1"),
        ("search-step-size --target 1", "target = 1"),
        ("experiment --results . --study fly", "--study: 'fly' is none of mixture, "),
        ("experiment --results nowhere", "--results: nowhere is not a folder"),
        ("benchmark --repetitions 0", "repetitions = 0"),
        ("fly", "fly"),
    ],
)
def test_bad_value_is_one_line_and_status_2(fails, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    out = ["--out", "x.json"] if words.startswith(("sweep", "search", "benchmark")) else []
    assert message in fails(2, *words.split(), *out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["sweep", "search-step-size", "benchmark"])
def test_place_for_the_result_is_looked_at_before_the_data_are_read(fails, tmp_path, command, monkeypatch):
    monkeypatch.setattr(cli, "load_mnist", None)  # would fail if it were called
    precious = tmp_path / "x.json"
    precious.write_text("{}")
    for out, message in (
        (tmp_path / "none" / "x.json", "none/x.json: cannot be written (No such file or directory)"),
        (tmp_path, "not a file (but a folder"),
        (tmp_path / ("x" * 300), "File name too long"),
        (precious, "x.json: not a recording"),
    ):
        line = fails(2, command, "--out", out)
        assert "argument --out: " in line and message in line
    assert precious.read_text() == "{}"


def test_wrong_data_are_one_line_and_status_1(fails, stand_in, tmp_path):
    file = stand_in / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    line = fails(1, "sweep", *SMALL, "--mnist-root", stand_in, "--out", tmp_path / "x.json")
    assert "t10k-labels-idx1-ubyte: wrong or truncated" in line
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interruption_is_one_line_and_status_130(fails, stand_in, tmp_path, monkeypatch, how):
    monkeypatch.setattr(trainer, "train", lambda *rest, **more: os.kill(os.getpid(), how))
    before = signal.getsignal(how)
    assert "interrupted" in fails(130, "sweep", *SMALL, "--mnist-root", stand_in, "--out", tmp_path / "x.json")
    assert signal.getsignal(how) == before and list(tmp_path.iterdir()) == [stand_in]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_gives_each_options_default_and_starts_nothing(command, capsys, monkeypatch):
    monkeypatch.setattr(experiment, "run_again", None)  # would fail if it were called
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    shown = capsys.readouterr().out.split("\noptions:\n")[1]
    described = re.split(r"^  (?=-)", shown, flags=re.MULTILINE)[2:]  # the first is --help
    assert len(described) >= 2
    for option in described:
        assert option.startswith("--") and "(default: " in " ".join(option.split()), option


def test_without_a_command_the_commands_are_listed(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["implicit-bias"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("implicit_bias", run_name="__main__")
    shown = capsys.readouterr().out
    assert all(re.search(rf"^ +{command}\s+\S", shown, re.MULTILINE) for command in COMMANDS)


def test_experiment_is_run_on_the_data_and_the_workers_asked_for(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "run_again", again := Mock())
    monkeypatch.setattr(cli, "STUDIES", studies := {name: Mock() for name in cli.STUDIES})
    assert main(["experiment", "--mnist-root", str(stand_in), "--threads", "2", "--results", str(tmp_path)]) == 0
    ((data, results), options) = again.call_args
    assert len(data.train_labels) == 300 and results == tmp_path and options["workers"].threads == 2
    assert all(study.call_args.args[0] == tmp_path / "studies" for study in studies.values())
    assert main(["experiment", "--study", "grid", "--results", str(tmp_path)]) == 0
    assert again.call_count == studies["mixture"].call_count == 1 and studies["grid"].call_count == 2


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


def test_search_prints_each_step_sizes_fate(stand_in, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MNIST_ROOT", str(stand_in))
    out = tmp_path / "search.json"
    words = ["search-step-size", "--alphas", "0.0001", "0.5", "1e30", "--steps", "20", "--target", "0.2"]
    assert main([*words, "--out", str(out)]) == 0
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert "never below 0.2" in first and "below 0.2 after" in second and "diverged at step" in third
    assert str(out) in last and recording.load(out, "step-size-search").configuration["sigma"] == 0.02


@pytest.mark.parametrize("command, configuration", [("sweep", EXPERIMENT), ("search-step-size", SEARCH)])
def test_defaults_are_the_experiments(command, configuration, stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "record", asked := Mock(return_value=Recording("", {}, [], 0.0)))
    main([command, "--mnist-root", str(stand_in), "--out", str(tmp_path / "x.json")])
    assert asked.call_args.args[0] == configuration
    assert EXPERIMENT.sigmas == (0.0002, 0.002, 0.02, 0.2, 2.0) and len(EXPERIMENT.seeds) >= 5
    assert SEARCH.sigma == 0.02 and SEARCH.target == 0.05


@pytest.fixture
def recorded(tmp_path):
    out = tmp_path / "sweep.json"
    record(Configuration((0.02,), (0, 1), 0.5, 10, 0.05, 5), synthetic_mnist(20), out)
    return out


def test_figures_are_drawn_as_pdf_and_svg(recorded, tmp_path, capsys, monkeypatch):
    for name in ("stable_rank_figure", "training_figure", "singular_value_figure"):
        panels = [Figure(), Figure()] if name == "training_figure" else Figure()
        monkeypatch.setattr(cli.draw, name, drawn := Mock(return_value=panels))
        drawn.__name__ = name
    assert main(["figures", "--recording", str(recorded), "--out", str(tmp_path / "new" / "figures")]) == 0
    drawn = sorted((tmp_path / "new" / "figures").iterdir())
    names = ("singular-value", "stable-rank", "training-1", "training-2")
    assert [path.name for path in drawn] == [f"{name}.{suffix}" for name in names for suffix in ("pdf", "svg")]
    assert all(path.read_bytes().startswith((b"%PDF", b"<?xml")) for path in drawn)
    assert sorted(capsys.readouterr().out.split()) == [str(path) for path in drawn]


def test_figures_of_nothing_in_no_folder_or_on_a_full_disk_are_one_line_and_no_half_file(fails, recorded, tmp_path):
    """A limit on the size of a file stands in for the disk."""
    assert "x.json: cannot be read" in fails(1, "figures", "--recording", tmp_path / "x.json")
    assert "cannot be made a folder" in fails(2, "figures", "--recording", recorded, "--out", recorded)
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        line = fails(1, "figures", "--recording", recorded, "--out", tmp_path / "figures")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "stable-rank.pdf: cannot be written (File too large)" in line
    assert list((tmp_path / "figures").iterdir()) == []


@pytest.mark.slow
def test_interrupted_processes_end_soon(tmp_path):
    """Ctrl-C reaches the workers too: still one line and no traceback. And none of them stays."""
    program = """if True:
        import sys
        from implicit_bias.mnist import cli, data
        cli.load_mnist = lambda root: data.synthetic_mnist(1000)
        if __name__ == "__main__":
            sys.exit(cli.main(sys.argv[1:]))
    """
    (tmp_path / "program.py").write_text(program)
    words = "search-step-size --alphas 1e30 0.5 --target 0.0001 --steps 1000000 --group-size 1 --jobs 2 --out x.json"
    command = [sys.executable, "program.py", *words.split()]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
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
