"""Files that others read: GitHub's workflows and forms, and the citation."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncframes.cli import _parser

yaml = pytest.importorskip("ruamel.yaml", reason="ruamel.yaml is not installed: pip install -e '.[test]'")
pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed: pip install -e '.[test]'")

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted({*(GITHUB / "ISSUE_TEMPLATE").glob("*.yml")} - {GITHUB / "ISSUE_TEMPLATE" / "config.yml"})
SCHEMAS = {
    "github-workflows": WORKFLOWS,
    "github-issue-forms": FORMS,
    "github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "citation-file-format": [ROOT / "CITATION.cff"],
}
by_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def loaded(path: Path) -> Any:
    return yaml.YAML(typ="safe").load(path)


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = loaded(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job["steps"]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_have_the_form_that_their_readers_expect(schema: str) -> None:
    """The schemas come with check-jsonschema, which asks no server for them."""
    assert SCHEMAS[schema]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *SCHEMAS[schema]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@by_workflow
def test_jobs_name_what_there_is(path: Path) -> None:
    """What the schema cannot tell: jobs that others need, keys of the matrix, and scripts of the project."""
    for job in jobs(path).values():
        needs = job.get("needs", [])
        assert {*([needs] if isinstance(needs, str) else needs)} <= jobs(path).keys()
        used = set(re.findall(r"\$\{\{ matrix\.(\w+) \}\}", str(job)))
        assert used == job.get("strategy", {}).get("matrix", {}).keys()
    scripts = [step["run"] for step in steps(path) if step.get("run", "").startswith(".")]
    assert [script for script in scripts if not (ROOT / script).exists()] == []


@by_workflow
def test_jobs_run_sessions_of_nox(path: Path) -> None:
    """The commands of a workflow are those that a developer can run, whatever the matrix."""
    noxfile = ast.parse((ROOT / "noxfile.py").read_text())
    sessions = {node.name for node in noxfile.body if isinstance(node, ast.FunctionDef)}
    commands = [step["run"] for step in steps(path) if "nox -s" in step.get("run", "")]
    named = [re.split(r"-?[ $]", command.partition("nox -s ")[2])[0] for command in commands]
    assert named
    assert {name for name in named if name} <= sessions


@by_workflow
def test_actions_have_versions_and_jobs_few_rights(path: Path) -> None:
    """An action without a version may change at any time; only what publishes may sign."""
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert [action for action in used if not re.search(r"@(v\d+|release/v\d+)$", action)] == []
    assert loaded(path)["permissions"] == {"contents": "read"}
    assert {name for name, job in jobs(path).items() if "permissions" in job} <= {"publish"}


def test_a_release_is_published_from_what_was_checked() -> None:
    """The build refuses another version's tag; its files are signed, and uploaded without a password."""
    found = jobs(GITHUB / "workflows" / "release.yml")
    assert 'python -m nox -s build -- "$GITHUB_REF_NAME"' in [
        step.get("run") for step in found["build"]["steps"]
    ]
    assert found["publish"]["needs"] == "build"
    assert found["publish"]["permissions"] == {"id-token": "write"}
    [publishing] = [step for step in found["publish"]["steps"] if "pypi-publish" in step["uses"]]
    assert publishing["with"] == {"attestations": True}


def test_forms_ask_for_commands_that_exist() -> None:
    """Who reports something can run them."""
    texts = "".join(path.read_text() for path in FORMS)
    asked = re.findall(r"asyncframes ((?:info|doctor)[^\"\n]*)", texts)
    assert sorted(asked) == ["doctor", "info --json VIDEO"]
    for command in asked:
        _parser().parse_args(command.split())
