"""What is packed: all that the repository has and nothing that lies about; and all that is required is used."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEFT_OUT = {".ci/run", ".gitignore"}  # .gitignore goes along, and nobody needs it
STRAYS = ("report.html", "counts.csv", "scores.npz", "notes.txt", "draft.md", ".env", "results/tilt.csv", "run.log")


def _files() -> set[str]:
    """The repository's files; of an unpacked sdist, which has no git, all but what running it leaves behind."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    made = re.compile(r"(^|/)(__pycache__|\..*cache|\.venv|\.hypothesis|results)/|^PKG-INFO$")
    return {str(path) for path in found if not made.search(str(path))}


def _build(target: str, source: Path, to: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(to)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = to.iterdir()
    return made


@pytest.fixture(scope="module")
def littered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with things lying about in every folder."""
    copy = tmp_path_factory.mktemp("littered")
    for name in _files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        for name in STRAYS:
            (folder / name).parent.mkdir(exist_ok=True)
            assert not (folder / name).exists()
            (folder / name).write_text("a user's own")
    (copy / "scratch.py").write_text("")
    (copy / "build").mkdir()
    (copy / "build" / "old.py").write_text("")
    return copy


def test_the_sdist_has_the_repository_and_nothing_that_lies_about(littered: Path, tmp_path: Path) -> None:
    with tarfile.open(_build("sdist", littered, tmp_path / "sdist")) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
        # Python 3.11.0 to 3.11.3 have no filters, and 3.12 warns where none is named.
        packed.extractall(tmp_path / "unpacked", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    assert names - LEFT_OUT - {"PKG-INFO"} == _files() - LEFT_OUT - {"PKG-INFO"}
    # And it suffices for a wheel.
    (source,) = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(_build("wheel", source, tmp_path / "wheel")) as wheel:
        assert _library(wheel) == {name for name in _files() if name.startswith(("implicitloss/", "paper_checks/"))}


def test_a_wheel_straight_from_a_littered_folder_has_library_and_claims_alone(littered: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(_build("wheel", littered, tmp_path / "wheel")) as wheel:
        assert _library(wheel) == {name for name in _files() if name.startswith(("implicitloss/", "paper_checks/"))}


def _library(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_every_dependency_is_imported() -> None:
    """What everybody has to install is used: each by a module of the library, the claims, the studies or figures."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    imported = set()
    for folder in ("implicitloss", "paper_checks", "analysis", "figures"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module.split(".")[0])
    assert required <= imported, required - imported
