"""What is checked: ``nox`` runs lint, types and tests; ``nox -s bench`` measures."""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_external_run = True


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, spelling and docstrings."""
    session.install(".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run(
        "codespell", "asyncframes", "tests", "benchmarks", "docs", "examples", *map(str, Path().glob("*.*"))
    )
    session.run("numpydoc", "lint", *map(str, sorted(Path("asyncframes").rglob("*.py"))))


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of everything, strictly."""
    session.install(".[dev,bench]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Test the built wheel; arguments go to pytest, as in ``nox -s tests -- -m 'not slow'``."""
    session.install(".[test]")
    # the script, unlike "python -m pytest", leaves the checkout off sys.path: the wheel is what is imported
    session.run("pytest", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks; arguments go to each of them."""
    session.install(".[bench]")
    for script in sorted(Path("benchmarks").glob("bench_*.py")):
        session.run("python", str(script), *session.posargs)


SDK = "supervisely[video-av]==6.74.51"


def _install_sdk(session: nox.Session) -> str:
    """Install the SDK beside ours, for its Api object, and alone, with the PyAV that it asks for."""
    session.install(".[test]", SDK.replace("[video-av]", ""))
    alone = Path(session.virtualenv.location).with_name("supervisely-alone")
    python = str(alone / "bin" / "python")
    if not alone.exists():
        session.run("python", "-m", "venv", str(alone))
    session.run(python, "-m", "pip", "install", "--quiet", SDK, external=True)
    return python


@nox.session
def supervisely(session: nox.Session) -> None:
    """Hold the drop-in against the real SDK; downloads some hundred megabytes."""
    environment = {"SUPERVISELY_SDK_PYTHON": _install_sdk(session)}
    session.run("pytest", "tests/proof", *session.posargs, env=environment)


@nox.session(name="supervisely-bench")
def supervisely_bench(session: nox.Session) -> None:
    """Measure the drop-in against the real SDK; arguments go to the script."""
    environment = {"SUPERVISELY_SDK_PYTHON": _install_sdk(session), "PYTHONPATH": "."}
    session.run("python", "benchmarks/supervisely_sdk.py", *session.posargs, env=environment)
