"""The command line: its stable interface, its help, and one line for each error."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from implicit_bias.mnist import cli, recording
from implicit_bias.mnist.cli import main
from implicit_bias.mnist.data import synthetic_mnist
from implicit_bias.mnist.sweep import Configuration, run_sweep

SMALL = ["--sigmas", "0.02", "0.2", "--seeds", "1", "--alpha", "0.5", "--steps", "10"]


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
        (["--sigmas"], "--sigmas"),
        (["--sigmas", "0.2", "0.2"], "0.2 is given twice"),
        (["--alpha", "0"], "--alpha: '0'"),
        (["--alpha", "nan"], "--alpha: 'nan'"),
        (["--alpha", "-0.5"], "--alpha: '-0.5'"),
        (["--steps", "9"], "--steps: '9'"),
        (["--steps", "10.5"], "--steps: '10.5'"),
        (["--seeds", "0"], "--seeds: '0'"),
        (["--device", "abacus"], "abacus"),
        (["--device", "meta"], "not available on this machine"),
        (["--device", "cuda:99"], "not available on this machine"),
        (["--threads", "0"], "--threads: '0'"),
        (["--group-size", "0"], "--group-size: '0'"),
        (["--jobs", "0"], "--jobs: '0'"),
        (["--backend", "mpi"], "'mpi'"),
        (["--address", "tcp://there:1"], "needs the backend"),
        (["--mystery"], "--mystery"),
    ],
)
def test_bad_value_of_sweep_is_one_line_and_status_2(fails, tmp_path, words, message):
    assert message in fails(2, "sweep", "--out", tmp_path / "x.json", *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words, message",
    [
        (["--sigma", "0"], "--sigma: '0'"),
        (["--alphas", "1", "-1"], "--alphas: '-1'"),
        (["--target", "1"], "--target: '1'"),
        (["--target", "0"], "--target: '0'"),
        (["--steps", "9"], "--steps: '9'"),
        (["--alphas", "1", "1"], "given twice"),
    ],
)
def test_bad_value_of_search_is_one_line_and_status_2(fails, tmp_path, words, message):
    assert message in fails(2, "search-step-size", "--out", tmp_path / "x.json", *words)


@pytest.mark.parametrize("words", [[], ["fly"]])
def test_bad_command_is_one_line_and_status_2(fails, words):
    assert "COMMAND" in fails(2, *words) or "fly" in words


@pytest.mark.parametrize("command", ["sweep", "search-step-size"])
def test_place_that_cannot_be_written_is_named_before_the_data_are_read(fails, tmp_path, command, monkeypatch):
    monkeypatch.setattr("implicit_bias.sweep.load_mnist", None)  # would fail if it were called
    assert "none does not exist" in fails(2, command, "--out", tmp_path / "none" / "x.json")
    assert "is a folder" in fails(2, command, "--out", tmp_path)


@pytest.mark.parametrize("command", ["sweep", "search-step-size"])
def test_a_file_that_is_no_recording_is_not_replaced(fails, tmp_path, command):
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


def test_absent_data_on_a_dask_worker_are_one_line_and_status_1(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "implicit_bias",
            "sweep",
            *SMALL,
            "--mnist-root",
            tmp_path / "file" / "root",
            "--out",
            tmp_path / "x.json",
            "--backend",
            "dask",
            "--jobs",
            "2",
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "train-images-idx3-ubyte: missing" in done.stderr


def test_interruption_is_one_line_and_status_130(fails, stand_in, tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("implicit_bias.training.train", interrupt)
    assert "interrupted" in fails(130, "sweep", *SMALL, "--mnist-root", stand_in, "--out", tmp_path / "x.json")


@pytest.mark.parametrize("command, least", [("sweep", 12), ("search-step-size", 13), ("figures", 2)])
def test_help_gives_each_options_default(command, least, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    commands = next(action for action in cli._parser()._actions if action.dest == "command")
    options = [action for action in commands.choices[command]._actions if action.dest != "help"]
    assert len(options) >= least
    for option in options:
        assert option.option_strings[0] in shown and "(default: " in option.help, option.option_strings


def test_sweep_writes_one_recording_with_plain_names(stand_in, tmp_path, capsys):
    out = tmp_path / "sweep.json"
    assert main(["sweep", *SMALL, "--mnist-root", str(stand_in), "--out", str(out)]) == 0
    assert "2 runs of 10 steps, 0 diverged" in capsys.readouterr().out
    runs = json.loads(out.read_text())["runs"]
    assert [(run["sigma"], run["seed"]) for run in runs] == [(0.02, 0), (0.2, 0)]
    for run in runs:
        assert run["step"] == list(range(11))
        assert len(run["loss"]) == len(run["train_error"]) == len(run["stable_rank"]) == 11
    assert [path for path in tmp_path.iterdir() if path != stand_in] == [out]


def test_seeds_count_from_zero(stand_in, tmp_path):
    main(["sweep", *SMALL, "--seeds", "3", "--mnist-root", str(stand_in), "--out", str(tmp_path / "x.json")])
    assert recording.load(tmp_path / "x.json").configuration["seeds"] == [0, 1, 2]


def test_search_prints_each_step_sizes_fate(stand_in, tmp_path, capsys):
    out = tmp_path / "search.json"
    assert (
        main(
            [
                "search-step-size",
                "--alphas",
                "0.0001",
                "0.5",
                "1e30",
                "--steps",
                "20",
                "--target",
                "0.2",
                "--mnist-root",
                str(stand_in),
                "--out",
                str(out),
            ]
        )
        == 0
    )
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert "never below 0.2" in first and "below 0.2 after" in second and "diverged at step" in third
    assert str(out) in last and recording.load(out, "step-size-search").configuration["sigma"] == 0.02


def test_figures_are_drawn_as_pdf_and_svg(tmp_path, capsys):
    recorded = tmp_path / "sweep.json"
    run_sweep(Configuration((0.02, 0.2), (0, 1), 0.5, 10), synthetic_mnist(100), recorded, progress=False)
    assert main(["figures", "--recording", str(recorded), "--out", str(tmp_path / "new" / "figures")]) == 0
    drawn = sorted((tmp_path / "new" / "figures").iterdir())
    assert [path.suffix for path in drawn] == [".pdf", ".svg"] * 3
    assert all(path.read_bytes().startswith((b"%PDF", b"<?xml")) for path in drawn)
    assert sorted(capsys.readouterr().out.split()) == [str(path) for path in drawn]


def test_figures_of_a_bad_recording_are_refused(fails, tmp_path):
    assert "there is no such recording" in fails(1, "figures", "--recording", tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{")
    assert "damaged" in fails(1, "figures", "--recording", tmp_path / "x.json")


def test_defaults_are_the_experiments():
    sweep = cli._parser().parse_args(["sweep"])
    assert list(sweep.sigmas) == [0.0002, 0.002, 0.02, 0.2, 2.0] and sweep.seeds >= 5
    search = cli._parser().parse_args(["search-step-size"])
    assert set(search.alphas) >= {0.05, 0.1, 0.2, 0.5, 1.0, 2.0} and search.sigma == 0.02 and search.target == 0.05


def test_module_runs_the_stable_interface_on_real_mnist(mnist, tmp_path):
    out = tmp_path / "sweep.json"
    done = subprocess.run(
        [sys.executable, "-m", "implicit_bias", "sweep", *SMALL, "--out", out],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    found = recording.load(out, "sweep")
    assert found.data == {"source": "mnist", "checksum": mnist.checksum} and len(found.runs) == 2
