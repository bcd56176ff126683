"""``nox`` runs lint, types, tests and coverage; ``nox -s bench``, ``exactness`` and ``fuzz`` measure."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "typing", "tests", "tests-bare", "tests-lowest", "coverage", "docs"]
nox.options.error_on_external_run = True
# A Python that is not installed is skipped with a line that says so, and an error where CI is set.
nox.options.download_python = "never"

PYTHONS = ["3.11", "3.12", "3.13"]
# The newest is tested where it is installed, and its absence is no error.
PYTHONS += ["3.14"] if sys.version_info[:2] == (3, 14) or shutil.which("python3.14") else []
# The Python that all tests run under; the others get the fast half, unless arguments say otherwise.
MAIN_PYTHON = "3.11" if "CI" in os.environ else f"{sys.version_info[0]}.{sys.version_info[1]}"
FAST_HALF = ("-m", "not slow")
# What `build` tests of an unpacked sdist: each reads other parts of it.
OF_THE_SDIST = (
    *(
        f"tests/api/test_{name}.py"
        for name in ("benchmarks", "dependencies", "floors", "pages", "project_files", "release")
    ),
    "tests/contract/test_examples.py",
    "tests/decode/test_clips_by_index.py",
    "tests/unit/test_ranges.py",
)

# What is installed together: torchcodec goes with one release of torch. The later one's wheels are for CUDA.
TORCHCODEC = ("torch==2.14.1", "torchcodec==0.17.0")
TORCHCODEC_CPU = ("torch==2.13.0", "torchcodec==0.13.0")
PEERS = [
    ("opencv-python-headless",),
    ("decord==0.6.0",),
    ("spdl==0.8.0",),
    ("imageio[pyav]",),
    TORCHCODEC,
]


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
    session.install(".[dev,bench,docs]")
    session.run("mypy")


@nox.session(python=PYTHONS[0])
def typing(session: nox.Session) -> None:
    """Check that every public name has a type, and that mypy and pyright refuse what they should."""
    session.install(".[dev]")
    session.run("mypy", "tests/typing")
    session.run("pyright")
    # PyTorch is too large to install for its types.
    environment = {"PYTHONPATH": "tests/typing/stubs"}
    session.run("pyright", "--ignoreexternal", "--verifytypes", "asyncframes", env=environment)


@nox.session(python=sorted({*PYTHONS, MAIN_PYTHON}))
def tests(session: nox.Session) -> None:
    """Test the built wheel under each Python; arguments go to pytest, as in ``nox -s tests-3.12 -- -x``."""
    session.install(".[test]")
    _test(session, () if session.python == MAIN_PYTHON else FAST_HALF)


@nox.session(name="tests-torch", python=PYTHONS[0])
def tests_torch(session: nox.Session) -> None:
    """Test data loaders with PyTorch, which other sessions do without; downloads some gigabytes."""
    session.install(".[test,torch]")
    session.run("pytest", "-n0", "tests/torch", "tests/api/test_pages.py", *session.posargs)


@nox.session(name="tests-ray", python=PYTHONS[1])
def tests_ray(session: nox.Session) -> None:
    """Test datasets with Ray, on two nodes on this machine. Not run by default: Ray is large."""
    session.install(".[test,ray]")
    session.run("pytest", "-n0", "tests/ray", "tests/api/test_pages.py", *session.posargs)


@nox.session(name="tests-bare", python=PYTHONS[0])
def tests_bare(session: nox.Session) -> None:
    """Use the built wheel where no extra is installed."""
    session.install(".", "pytest>=8.3,<10")
    # The options of pyproject.toml and conftest.py are for plugins that are not there.
    alone = ("--noconftest", "-c", os.devnull, "--rootdir", ".", "--import-mode", "importlib")
    session.run("pytest", *alone, "-W", "error", "tests/api/test_without_extras.py", *session.posargs)


@nox.session(name="tests-lowest", python=PYTHONS[0])
def tests_lowest(session: nox.Session) -> None:
    """Test the built wheel with the lowest versions of its dependencies that pyproject.toml allows."""
    session.install("uv")
    session.run("uv", "pip", "install", "--resolution", "lowest-direct", ".[test]")
    _test(session, FAST_HALF)


@nox.session(python=MAIN_PYTHON)
def coverage(session: nox.Session) -> None:
    """Test the fast half, and fail where it covers less of the package than pyproject.toml says."""
    session.install(".[test]")
    chosen = ("-m", "not slow and not cpu_time")
    session.run("pytest", "--cov", "--cov-report=term:skip-covered", *chosen, *session.posargs)


@nox.session(python=MAIN_PYTHON)
def docs(session: nox.Session) -> None:
    """Build the documentation into site/, with its manual page; a broken link or name fails.

    Nothing is fetched while it is built, and its pages load nothing from elsewhere. Arguments go to Sphinx.
    """
    session.install(".[docs,parquet,web]")
    strict = ("--fail-on-warning", "--keep-going", "--quiet")
    session.run("sphinx-build", *strict, "-b", "html", "docs", "site", *session.posargs)
    session.run("sphinx-build", *strict, "-b", "man", "docs", "site/man1")


def _test(session: nox.Session, chosen: tuple[str, ...]) -> None:
    # the script, unlike "python -m pytest", leaves the checkout off sys.path: the wheel is what is imported
    session.run("pytest", *(session.posargs or chosen))


@nox.session(python=MAIN_PYTHON)
def build(session: nox.Session) -> None:
    """Build the sdist and the wheel into dist/, check both, and test what the sdist contains.

    They are built twice, from the checkout and from the unpacked sdist, and must have the same bytes. An
    argument is the tag of a release, such as ``v0.1.0``, with which the version and the changelog must agree.
    """
    for tag in session.posargs:
        _check_tag(session, tag)
    session.install("build>=1.4,<2", "check-wheel-contents>=0.6.3,<1", "twine>=6.2,<8")
    committed = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)
    environment = {"SOURCE_DATE_EPOCH": str(committed).strip()}
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", "dist", env=environment)
    [sdist], [wheel] = Path("dist").glob("*.tar.gz"), Path("dist").glob("*.whl")
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    session.run("check-wheel-contents", str(wheel))
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(sdist, folder, filter="data")
        [unpacked] = Path(folder).iterdir()
        again = Path(folder, "again")
        session.run("python", "-m", "build", "--outdir", str(again), str(unpacked), env=environment)
        differ = [one.name for one in (sdist, wheel) if not filecmp.cmp(one, again / one.name, shallow=False)]
        if differ:
            session.error(f"not reproducible: a second build differs in {', '.join(differ)}")
        _test_sdist(session, sdist.resolve(), unpacked, Path(folder, "fresh"))


def _check_tag(session: nox.Session, tag: str) -> None:
    """Refuse the tag of another version, and of a version that has no date in the changelog."""
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    if tag != f"v{version}":
        session.error(f"the tag is {tag}, and pyproject.toml has version {version}")
    heading = rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$"
    if not re.search(heading, Path("CHANGELOG.md").read_text(), re.M):
        session.error(f"CHANGELOG.md has no heading of the form '## {version} - YYYY-MM-DD'")


def _test_sdist(session: nox.Session, sdist: Path, unpacked: Path, fresh: Path) -> None:
    """Install from an sdist in a fresh environment, and run some of its tests with it."""
    session.run("python", "-m", "venv", str(fresh))
    session.run(str(fresh / "bin" / "pip"), "install", "--quiet", f"{sdist}[test]", external=True)
    with session.chdir(unpacked):
        session.run(str(fresh / "bin" / "pytest"), "-n0", *FAST_HALF, *OF_THE_SDIST, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure every common way to get frames, as far as it can be installed; arguments go to the script.

    It downloads some gigabytes, most of them for torch. An interpreter that is named in the environment, as
    SUPERVISELY_SDK_PYTHON or TORCHCODEC_CPU_PYTHON, is used instead of an environment of its own.
    """
    session.install(".[bench]")
    for peer in PEERS:
        session.install(*peer, success_codes=[0, 1])
    asked = session.posargs
    environment = {
        variable: _install_alone(session, contestant, *packages, success_codes=[0, 1])
        for contestant, (variable, *packages) in ALONE.items()
        if variable not in os.environ and ("--contestants" not in asked or contestant in asked)
    }
    session.run("python", "-m", "benchmarks.bench_frames", *asked, env=environment)


@nox.session(name="bench-more")
def bench_more(session: nox.Session) -> None:
    """Measure encoders, frame tables and a shaped link; arguments name some of these."""
    session.install(".[bench]")
    for name in session.posargs or ("encoders", "index", "network"):
        session.run("python", "-m", f"benchmarks.bench_{name}")


@nox.session(name="bench-ray", python=PYTHONS[0])
def bench_ray(session: nox.Session) -> None:
    """Measure datasets of Ray Data against its own reader and torchcodec; arguments go to the script."""
    session.install(".[bench,ray]")
    for peer in (("decord==0.6.0",), TORCHCODEC):
        session.install(*peer, success_codes=[0, 1])
    session.run("python", "-m", "benchmarks.bench_ray", *session.posargs)


@nox.session(python=[PYTHONS[0], PYTHONS[-1]])
def exactness(session: nox.Session) -> None:
    """Compare every file beside the checkout by every route; arguments go to the script."""
    session.install(".[test]")
    session.run("python", "-m", "benchmarks.exactness", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Damage files in random ways, and compare every route with one thread; arguments go to the script."""
    session.install(".[test]")
    session.run("python", "-m", "benchmarks.fuzz", *session.posargs)


@nox.session(name="fuzz-parsers", python=PYTHONS[0])
def fuzz_parsers(session: nox.Session) -> None:
    """Feed parsers what reaches new code in them, a minute by default; arguments go to libFuzzer."""
    session.install(".[test]", "atheris>=3.0,<4")
    session.run("python", "-m", "benchmarks.fuzz_parsers", *(session.posargs or ("-max_total_time=60",)))


@nox.session
def exactness_peers(session: nox.Session) -> None:
    """Measure the same of other libraries, as far as they can be installed; arguments go to the script."""
    session.install(".[test]")
    for peer in PEERS:
        session.install(*peer, success_codes=[0, 1])
    session.run("python", "-m", "benchmarks.exactness_peers", *session.posargs)


SDK = "supervisely[video-av]==6.74.51"

# Contestants that cannot be installed beside the others, and the variables that name their interpreters.
ALONE = {
    "supervisely": ("SUPERVISELY_SDK_PYTHON", SDK),
    "torchcodec-0.13": ("TORCHCODEC_CPU_PYTHON", *TORCHCODEC_CPU, "numpy"),
}


def _install_sdk(session: nox.Session) -> str:
    """Install the SDK beside ours, for its Api object, and alone, with the PyAV that it asks for."""
    session.install(".[test]", SDK.replace("[video-av]", ""))
    return _install_alone(session, "supervisely", SDK, success_codes=[0])


def _install_alone(session: nox.Session, name: str, *packages: str, success_codes: list[int]) -> str:
    """Install packages in an environment of their own, and return its interpreter."""
    alone = Path(session.virtualenv.location).with_name(f"{name}-alone")
    python = str(alone / "bin" / "python")
    if not alone.exists():
        session.run("python", "-m", "venv", str(alone))
    install = [python, "-m", "pip", "install", "--quiet", *packages]
    session.run(*install, external=True, success_codes=success_codes)
    return python


@nox.session
def supervisely(session: nox.Session) -> None:
    """Compare the drop-in with the real SDK; downloads a few hundred megabytes."""
    environment = {"SUPERVISELY_SDK_PYTHON": _install_sdk(session)}
    session.run("pytest", "tests/proof", *session.posargs, env=environment)


@nox.session(name="supervisely-bench")
def supervisely_bench(session: nox.Session) -> None:
    """Time the drop-in and the real SDK; arguments go to the script."""
    environment = {"SUPERVISELY_SDK_PYTHON": _install_sdk(session)}
    session.run("python", "-m", "benchmarks.bench_supervisely", *session.posargs, env=environment)
