"""Check every proof in this folder with Rocq: `python code/proofs/check.py` (needs `coqc`; `make proofs` installs it).

Compiles the files in the order of their imports, refuses what would assume instead of prove, and asks Rocq which axioms
the theorems that carry a label of the book rest on. Exits with 1 if anything is amiss.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).parent
# The axioms of classical analysis that Rocq's library of real numbers needs; README.md says them in words.
ALLOWED = {
    "Classical_Prop.classic",
    "ClassicalDedekindReals.sig_forall_dec",
    "ClassicalDedekindReals.sig_not_dec",
    "FunctionalExtensionality.functional_extensionality_dep",
}
FORBIDDEN = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjectures?|bypass_check|(?:Guard|Positivity|Universe) Checking)\b"
)
LABELLED = re.compile(r"^(?:Theorem|Lemma|Proposition|Corollary)\s+((?:thm|lem|prp|cor|eq)_\w+)", re.MULTILINE)


def without_comments(text: str) -> str:
    """The code of a Rocq file: comments, which nest, become blank, and lines keep their numbers."""
    depth, kept = 0, []
    for piece in re.split(r"(\(\*|\*\)|\n)", text):
        depth += (piece == "(*") - (piece == "*)")
        kept.append(piece if piece == "\n" or (not depth and piece != "*)") else "")
    return "".join(kept)


def options() -> list[str]:
    """The options of _CoqProject, as `coqc` takes them."""
    words = shlex.split((FOLDER / "_CoqProject").read_text(encoding="utf-8"))
    return [word for word in words if word != "-arg"]


def rocq(*arguments: str) -> str:
    """Run a program of Rocq in this folder; its output, or SystemExit with its message."""
    done = subprocess.run(arguments, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout


def axioms(modules: list[str], theorems: list[str]) -> set[str]:
    """The axioms, and the unsafe switches, that the theorems rest on, together."""
    with tempfile.TemporaryDirectory() as folder:
        question = Path(folder) / "question.v"
        question.write_text(
            f"From Book Require {' '.join(modules)}.\n"
            f"Definition all := ({', '.join('@' + theorem for theorem in theorems)}).\nPrint Assumptions all.\n",
            encoding="utf-8",
        )
        answer = rocq("coqc", *options(), str(question))
    if "Closed under the global context" in answer:
        return set()
    names = re.findall(r"^([\w.']+)\s*(?::|$| is )", answer.partition("Axioms:")[2], re.MULTILINE)
    if not names:
        sys.exit(f"no list of axioms in Rocq's answer:\n{answer}")
    return set(names)


def compile_all(code: dict[str, str]) -> None:
    """Compile the modules, each after those that it imports; `code` has them in a possible order."""
    jobs: dict[str, Future[str]] = {}

    def job(module: str) -> str:
        for needed in re.findall(r"\bBook\.(\w+)", code[module]):
            jobs[needed].result()
        return rocq("coqc", *options(), f"{module}.v")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for module in code:
            jobs[module] = pool.submit(job, module)
    for done in jobs.values():
        done.result()


def main() -> int:
    """Compile, search, ask; print what is wrong and one line at the end."""
    files = rocq("coqdep", *options()[:3], "-sort", *sorted(path.name for path in FOLDER.glob("*.v"))).split()
    code = {Path(file).stem: without_comments((FOLDER / file).read_text(encoding="utf-8")) for file in files}
    compile_all(code)
    theorems, failed = [], []
    for module, text in code.items():
        found = LABELLED.findall(text)
        theorems += [f"{module}.{name}" for name in found]
        print(f"{module}.v: {', '.join(found) or 'no theorem of the book'}")
        for match in FORBIDDEN.finditer(text):
            failed.append(f"{module}.v:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}")
    if axioms(list(code), theorems) - ALLOWED:
        failed += [f"{name} rests on {extra}" for name in theorems if (extra := axioms(list(code), [name]) - ALLOWED)]
    print(*failed, f"{len(theorems)} theorems checked, {len(failed)} failed", sep="\n")
    return int(bool(failed) or not theorems)


if __name__ == "__main__":
    sys.exit(main())
