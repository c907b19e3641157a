"""The rules of the house: imports run one way, witnesses stay apart, the library is quiet and says what it is."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import implicitloss

ROOT = Path(implicitloss.__file__).parent
PACKAGE = "implicitloss"
# Heavy imports that are for reports and tables only, and the folders that build on the library.
DRAWING = {"matplotlib", "seaborn", "pandas"}
ABOVE = {"paper_checks", "analysis", "figures", "tests"}
# Where a command line speaks and writes.
SPEAKERS = {"cli", "__main__"}


def _dotted(path: Path) -> str:
    parts = (PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class Modules(Mapping[str, ast.Module]):
    """The library's modules by dotted name; each is parsed once, and none to collect tests."""

    def __init__(self) -> None:
        self._paths = {_dotted(path): path for path in sorted(ROOT.rglob("*.py"))}
        self._trees: Trees = {}

    def __getitem__(self, name: str) -> ast.Module:
        if name not in self._trees:
            path = self._paths[name]
            self._trees[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
        return self._trees[name]

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


MODULES = Modules()
Trees = Mapping[str, ast.Module]


@cache
def walk(tree: ast.AST) -> tuple[ast.AST, ...]:
    """The nodes of a tree, which many rules look at."""
    return tuple(ast.walk(tree))


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _later(tree: ast.AST) -> Iterator[str]:
    """The modules that `later` stands for."""
    for node in walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "later":
            yield ast.literal_eval(node.args[0])


def _imports(tree: ast.AST, *, lazy: bool, typing: bool = False) -> Iterator[str]:
    """The dotted names that are imported, also within functions if `lazy`, also for type checkers only if `typing`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif _is_type_checking(node) and not typing:
            assert isinstance(node, ast.If)
            if lazy:
                yield from (target for other in node.orelse for target in _later(other))
        elif lazy or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _imports(node, lazy=lazy, typing=typing)


@cache
def targets(tree: ast.Module, lazy: bool, typing: bool) -> frozenset[str]:
    return frozenset(_imports(tree, lazy=lazy, typing=typing))


def imports(name: str, *, lazy: bool = True, typing: bool = False, trees: Trees = MODULES) -> set[str]:
    """The modules that a module imports: the library's by their dotted names, others by their top one."""
    found = set()
    for target in targets(trees[name], lazy, typing):
        if target.split(".")[0] != PACKAGE:
            found.add(target.split(".")[0])
            continue
        parts = target.split(".")
        while ".".join(parts) not in trees:
            parts.pop()
        found.add(".".join(parts))
    return found


# Imports by a computed name that no text tells: what they reach.  A function of a folder, a user's module, a package.
COMPUTED = {
    f"{PACKAGE}.cli.formats": [f"{PACKAGE}.claims.report.formats", f"{PACKAGE}.auditing.formats"],
    f"{PACKAGE}.cli.commands.audit": [],
    f"{PACKAGE}.adapters.framework": [],
    f"{PACKAGE}.later": [],
}


def discovered(name: str, tree: ast.Module, trees: Trees) -> set[str]:
    """The modules that a module imports by `importlib.import_module`, by the package that its text begins with.

    f"{__package__}.{name}" stands for all modules of the package, but for those in the module's own `SKIPPED`.
    """
    is_package = (ROOT.parent / Path(*name.split(".")) / "__init__.py").exists()
    package = name if is_package else name.rpartition(".")[0]
    folders = {"__name__": name, "__package__": package}
    for node in walk(tree):
        if isinstance(node, ast.ImportFrom):
            folders |= {f"{a.asname or a.name}.__name__": f"{node.module}.{a.name}" for a in node.names}
    constants = [node for node in tree.body if isinstance(node, ast.Assign)]
    skipped = [ast.literal_eval(node.value) for node in constants if ast.unparse(node.targets[0]) == "SKIPPED"]
    found: set[str] = set()
    for call in walk(tree):
        if not (isinstance(call, ast.Call) and ast.unparse(call.func).endswith("import_module")):
            continue
        target = call.args[0]
        if isinstance(target, ast.Constant):
            found |= {target.value} & set(trees)
            continue
        start = target.values[0] if isinstance(target, ast.JoinedStr) else None
        text = ast.unparse(start.value) if isinstance(start, ast.FormattedValue) else getattr(start, "value", "")
        folder = folders.get(text, text.rstrip("."))
        under = [folder] if folder in trees else COMPUTED[name]
        # The face takes its modules from `_HOME`, which is what type checkers see.
        if name != PACKAGE:
            files = {other for other in trees for root in under if other.rpartition(".")[0] == root}
            found |= {other for other in files if other.split(".")[-1] not in set().union(*skipped)}
    return found


def cycle(trees: Trees) -> list[str]:
    """A cycle of imports, or nothing; lazy ones, those for type checkers only and those by a computed name count."""
    graph = {
        name: ({*imports(name, typing=True, trees=trees), *discovered(name, tree, trees)} & set(trees)) - {name}
        for name, tree in trees.items()
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


# --- imports ------------------------------------------------------------------------------------------------------

# A module for each framework, which imports it.
RECIPES = f"{PACKAGE}.recipes."


def test_imports_run_one_way() -> None:
    assert len(MODULES) > 25
    assert cycle(MODULES) == []


@pytest.mark.parametrize(
    "hidden", ["def f():\n    from implicitloss.scheme import Scheme\n",
               "if TYPE_CHECKING:\n    from implicitloss.scheme import Scheme\n",
               "importlib.import_module('implicitloss.scheme')", "importlib.import_module(f'implicitloss.{x}')",
               "importlib.import_module(f'{__package__}.{x}')", "from implicitloss import __name__"]
)  # fmt: skip
def test_a_cycle_would_be_seen(hidden: str) -> None:
    wrong = dict(MODULES)
    wrong[f"{PACKAGE}.problem"] = ast.parse(hidden)
    assert f"{PACKAGE}.problem" in cycle(wrong)


# From the ground up, by folder or module: nothing imports from a floor above its own.  Every folder is on one.
FLOORS = [
    {"kernels", "arguments", "formats", "later", "version"},
    {"symbols", "counts", "labels", "numerics", "recipes"},
    {
        "estimate",
        "problem",
        "scorers",
        "losses",
        "margins",
        "names",
        "weightings",
        "samplers",
        "draws",
        "scheme",
        "hard",
        "index",
        "clusterwise",
    },
    {"theory", "witness", "minibatch", "spectral"},
    {"optima"},
    {"claims", "auditing", "adapters", "teaching", "designing"},
    {"cli", "plot", "pytest_plugin", "testing"},
]


def floor_of(name: str) -> int:
    """The floor of a module, by the folder that it lies in."""
    top = name.removeprefix(f"{PACKAGE}.").split(".")[0]
    (floor,) = [i for i, names in enumerate(FLOORS) if top in names]
    return floor


def above_its_floor(trees: Trees) -> list[tuple[str, str]]:
    """Each module that imports from a floor above its own, and what it imports."""
    names = set(trees) - {PACKAGE, f"{PACKAGE}.__main__"}
    pairs = [(name, other) for name in names for other in imports(name, trees=trees) & names]
    return [(name, other) for name, other in pairs if floor_of(other) > floor_of(name)]


def test_floors() -> None:
    assert {floor_of(name) for name in set(MODULES) - {PACKAGE, f"{PACKAGE}.__main__"}} == set(range(len(FLOORS)))
    assert above_its_floor(MODULES) == []
    wrong = {**MODULES, f"{PACKAGE}.kernels.other": ast.parse("from implicitloss.scheme import Scheme")}
    assert above_its_floor(wrong) == [(f"{PACKAGE}.kernels.other", f"{PACKAGE}.scheme")]


def folders(trees: Trees) -> dict[str, set[str]]:
    """What each folder, or module at the top, imports of the others."""
    found: dict[str, set[str]] = {}
    for name in set(trees) - {PACKAGE, f"{PACKAGE}.__main__"}:
        others = {*imports(name, typing=True, trees=trees), *discovered(name, trees[name], trees)}
        tops = {other.split(".")[1] for other in others & set(trees) - {PACKAGE}}
        found.setdefault(name.split(".")[1], set()).update(tops - {name.split(".")[1]})
    return found


def test_folders_import_one_way() -> None:
    """Folders as wholes have no circle either."""
    assert tuple(TopologicalSorter(folders(MODULES)).static_order())
    wrong = {**MODULES, f"{PACKAGE}.kernels.other": ast.parse("from implicitloss.scheme import Scheme")}
    with pytest.raises(CycleError):
        tuple(TopologicalSorter(folders(wrong)).static_order())


WINGS = {"claims", "auditing", "adapters", "teaching", "designing"}
# What one wing may take from another, and why.
BETWEEN = {
    ("adapters", f"{PACKAGE}.auditing.blackbox"): "adapters make the function that an audit calls",
    ("adapters", f"{PACKAGE}.auditing.finding"): "the adapter of batches finds the flaws between their rows",
}


def between_wings(trees: Trees) -> set[tuple[str, str]]:
    """The wing that imports, and the module of another wing that it imports."""
    found = set()
    for name in set(trees) - {PACKAGE}:
        wing = name.split(".")[1]
        for other in imports(name, typing=True, trees=trees) & set(trees) - {PACKAGE}:
            if wing in WINGS and other.split(".")[1] in WINGS - {wing}:
                found.add((wing, other))
    return found


def test_wings_stay_apart() -> None:
    assert between_wings(MODULES) == set(BETWEEN)
    wrong = {**MODULES, f"{PACKAGE}.teaching.other": ast.parse("def f():\n    from implicitloss.claims import claim")}
    assert between_wings(wrong) - set(BETWEEN) == {("teaching", f"{PACKAGE}.claims.claim")}


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(f"{PACKAGE}.kernels.")])
def test_kernels_know_nothing_of_the_theory(name: str) -> None:
    allowed = {"__future__", "collections", "functools", "typing", "math", "numpy", "numba", "llvmlite"}
    allowed |= {"contextlib"}
    allowed |= {"os"} if name.endswith(".jit") else set()
    if name.endswith(".kept"):  # a whole query: the kernels of its parts
        allowed |= {f"{PACKAGE}.kernels.alias", f"{PACKAGE}.kernels.clusters"}
    allowed |= {f"{PACKAGE}.kernels.jit", f"{PACKAGE}.kernels.prefetch", f"{PACKAGE}.kernels.ahead"}
    assert imports(name) <= allowed
    strings = [
        node.value
        for function in walk(MODULES[name])
        if isinstance(function, ast.FunctionDef)
        and any(ast.unparse(d) in ("kernel", "kernel_of_sums") for d in function.decorator_list)
        for statement in function.body[1:]
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert strings == []


def witness_of(name: str) -> str | None:
    """The witness that a module belongs to: derive, exhaust, integrate or simulate."""
    parts = name.split(".")
    return parts[2] if parts[:2] == [PACKAGE, "witness"] and len(parts) > 2 else None


def test_there_are_four_witnesses() -> None:
    assert {witness_of(name) for name in MODULES} - {None} == {"derive", "exhaust", "integrate", "simulate"}


def test_witnesses_stay_apart() -> None:
    for name in filter(witness_of, MODULES):
        assert {witness_of(other) for other in imports(name)} <= {None, witness_of(name)}, name


def _reads(tree: ast.AST) -> set[str]:
    """The attributes that are read."""
    return {node.attr for node in walk(tree) if isinstance(node, ast.Attribute)}


def test_the_simulation_reads_no_derived_number() -> None:
    parts = [name for name in MODULES if witness_of(name) == "simulate"]
    imported = set().union(*(imports(name) for name in parts))
    derived = ("theory", "optima", "margins", "symbols", "numerics.bounds")
    assert not [name for name in imported if name.removeprefix(f"{PACKAGE}.").startswith(derived)]
    assert "sympy" not in imported
    # The stated law of a sampler is a claim about its procedure, and the simulation runs the procedure.
    assert f"{PACKAGE}.samplers.sampler" in imported
    (draws,) = [
        node
        for node in MODULES[f"{PACKAGE}.samplers.sampler"].body
        if isinstance(node, ast.FunctionDef) and node.name == "checked_draws"
    ]
    assert "procedure" in _reads(draws)
    assert not _reads(draws) & {"log_law", "law"}
    for name in parts:
        assert not _reads(MODULES[name]) & {"log_law", "law", "log_margin", "margin"}


def test_procedures_do_not_read_the_stated_law() -> None:
    procedures = [
        (name, node)
        for name in MODULES
        if name.startswith(f"{PACKAGE}.samplers.")
        for node in walk(MODULES[name])
        if isinstance(node, ast.FunctionDef) and node.name == "procedure"
    ]
    assert len(procedures) > 5
    for name, node in procedures:
        assert not _reads(node) & {"log_law", "law"}, name


def test_a_procedure_that_reads_its_law_would_be_seen() -> None:
    wrong = ast.parse("def procedure(self, problem):\n    return by_shares(np.exp(self.log_law(problem)))\n")
    assert "log_law" in _reads(wrong)


def test_nothing_above_the_library_is_imported() -> None:
    assert [name for name in MODULES if imports(name) & ABOVE] == []


def test_nothing_that_draws_is_imported_at_import_time() -> None:
    assert [name for name in MODULES if imports(name, lazy=False) & DRAWING] == []


# What a fresh interpreter is told, a line after the other: each needs all that the lines before it do.
LINES = {
    "import": "import implicitloss; implicitloss.__version__; dir(implicitloss)",
    "scheme": "from implicitloss import Scheme",
    "design": "import implicitloss as il; r = il.design(il.LabelPrior.zipf(3, 1)); r.information, r.advice()",
    "derive": "il.derive(r.scheme, il.losses.SoftmaxCrossEntropy())",
    "all": "from implicitloss import *; from implicitloss.recipes import code; code('in_batch_softmax', 'torch')",
}


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """The top-level modules that are loaded after each of the lines."""
    tell = "import sys\nprint(*{name.split('.')[0] for name in sys.modules})"
    code = "\n".join(f"{line}\n{tell}" for line in LINES.values())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return {line: set(names.split()) for line, names in zip(LINES, done.stdout.splitlines(), strict=True)}


def test_importing_the_library_costs_nothing(loaded: dict[str, set[str]]) -> None:
    heavy = {"numpy", "scipy", "sympy", "numba", "mpmath", "llvmlite", *DRAWING}
    assert not loaded["import"] & heavy
    # The probe sees what is loaded.
    assert "numpy" in loaded["scheme"]


def test_a_design_needs_no_symbols_compilers_or_solvers(loaded: dict[str, set[str]]) -> None:
    """They would take longer to import than its prices take to compute."""
    assert not loaded["design"] & {"scipy", "sympy", "numba"}
    assert "sympy" in loaded["derive"]


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(RECIPES)])
def test_recipes_need_their_framework_alone(name: str) -> None:
    assert imports(name) == {name.removeprefix(RECIPES)}


def test_no_recipe_is_imported_by_the_library(loaded: dict[str, set[str]]) -> None:
    assert not {other for name in MODULES for other in imports(name) if other.startswith(RECIPES)}
    frameworks = {name.removeprefix(RECIPES) for name in MODULES if name.startswith(RECIPES)}
    assert frameworks > {"torch", "jax", "tensorflow"}
    assert not loaded["all"] & (frameworks - {"numpy"})


def test_every_promised_name_is_there() -> None:
    assert set(implicitloss.__all__) == set(dir(implicitloss))
    for name in implicitloss.__all__:
        assert getattr(implicitloss, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = implicitloss.nothing


def defined(tree: ast.Module) -> dict[str, bool]:
    """The names that a module defines, and whether each is a class or a function (and no constant)."""
    found: dict[str, bool] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = True
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [part for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
            found |= {name.id: False for name in names}
    return found


def said(tree: ast.Module) -> list[str]:
    """The names in the `__all__` of a module."""
    found = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return list(found[0]) if found else []


@cache
def taken() -> set[tuple[str, str]]:
    """Each name that one module imports from another, of the library and of the folders that build on it."""
    above = [path for folder in ABOVE - {"tests"} for path in (ROOT.parent / folder).rglob("*.py")]
    trees = [*MODULES.values(), *(ast.parse(path.read_text(encoding="utf-8")) for path in above)]
    return {
        (str(node.module), alias.name)
        for tree in trees
        for node in walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


# The modules of the face are for users: `__all__` leaves out what checks and completes parts for the library alone.
FACE = {f"{PACKAGE}.{name}" for name, home in implicitloss._HOME.items() if home is None}
FOR_THE_LIBRARY = ("checked_", "complete_")


def unsaid(name: str, tree: ast.Module) -> list[str]:
    """The public names of a module that its `__all__` lacks: classes, functions, and constants that others import."""
    return [
        own
        for own, is_code in defined(tree).items()
        if not own.startswith("_") and (is_code or (name, own) in taken())
        if own not in said(tree) and not (name in FACE and own.startswith(FOR_THE_LIBRARY))
    ]


def test_modules_say_what_is_public() -> None:
    assert [
        (name, unsaid(name, tree)) for name, tree in MODULES.items() if name != PACKAGE and unsaid(name, tree)
    ] == []


def promised_in_vain(name: str) -> list[str]:
    """The names in the `__all__` of a module that it does not have."""
    module = importlib.import_module(name) if said(MODULES[name]) else None
    return [own for own in said(MODULES[name]) if not hasattr(module, own)]


def test_modules_have_what_they_say() -> None:
    names = [name for name in MODULES if name != PACKAGE and not name.startswith(RECIPES)]
    assert [(name, promised_in_vain(name)) for name in names if promised_in_vain(name)] == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(RECIPES)])
def test_recipes_have_what_they_say(name: str) -> None:
    pytest.importorskip(name.removeprefix(RECIPES))
    assert promised_in_vain(name) == []


def test_a_name_that_is_not_said_would_be_seen() -> None:
    text = "class Scheme: ...\ndef checked_scheme(): ...\nHITS = ()\nMINE = 1\ndef _own(): ..."
    assert unsaid(f"{PACKAGE}.scheme", ast.parse(text)) == ["Scheme", "checked_scheme", "HITS"]
    assert unsaid(f"{PACKAGE}.scheme", ast.parse(f"__all__ = ['Scheme', 'HITS']\n{text}")) == ["checked_scheme"]
    assert unsaid(f"{PACKAGE}.losses", ast.parse(text)) == ["Scheme"]


def test_names_of_the_face_are_public_at_home() -> None:
    for name, home in implicitloss._HOME.items():
        assert home is None or name in said(MODULES[f"{PACKAGE}.{home}"]), name


def homes(trees: Trees) -> dict[str, list[str]]:
    """The modules that define a public class, by the class's name."""
    found: dict[str, list[str]] = {}
    for name, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(name)
    return found


# Classes of one name, and why.
TWICE = {"Exact": "users know il.index.Exact; the check of exact numbers is for the library and its claims"}


def test_a_name_of_a_class_stands_for_one_idea() -> None:
    assert [name for name, modules in homes(MODULES).items() if len(modules) > 1] == list(TWICE)
    twice = homes({**MODULES, f"{PACKAGE}.kernels.other": ast.parse("class Scheme: ...")})
    assert twice["Scheme"] == [f"{PACKAGE}.scheme", f"{PACKAGE}.kernels.other"]


# Parts of results, which users read by attribute and neither make nor name; and what makes an audit's report.
PARTS = {
    f"{PACKAGE}.auditing.comparison.Comparison": "a row of an audit's report",
    f"{PACKAGE}.auditing.finding.Note": "a part of an audit's report",
    f"{PACKAGE}.auditing.finding.Tilt": "a part of an audit's report",
    f"{PACKAGE}.auditing.fit.Fit": "a part of an audit's report",
    f"{PACKAGE}.auditing.slips.Page": "a part of an audit's report",
    f"{PACKAGE}.auditing.slopes.Slopes": "a part of an audit's report",
    f"{PACKAGE}.auditing.question.Question": "AuditReport.of, which the audit calls",
    f"{PACKAGE}.auditing.box.Box": "AuditReport.of, which the audit calls",
    f"{PACKAGE}.auditing.finding.Observed": "AuditReport.of, which the audit calls",
    f"{PACKAGE}.spectral.diagnosis.ClassError": "a row of a spectral report",
    f"{PACKAGE}.spectral.diagnosis.OffsetEffect": "a part of a spectral report",
    f"{PACKAGE}.spectral.covariances.Covariances": "GaussianMixture.of_classes, which predictions take",
    f"{PACKAGE}.scheme.Plan": "what the witnesses take of a scheme at a problem",
}


def _classes(hint: Any) -> Iterator[type]:
    """The library's classes in an annotation."""
    if isinstance(hint, type) and not typing.get_args(hint) and hint.__module__.startswith(PACKAGE):
        yield hint
    for part in typing.get_args(hint):
        for inner in part if isinstance(part, list) else [part]:
            yield from _classes(inner)


def _functions(thing: Any) -> Iterator[Any]:
    """A function itself; of a class its public methods and properties, and its calls."""
    if inspect.isfunction(thing):
        yield thing
    for name in dir(thing) if inspect.isclass(thing) else []:
        member = inspect.getattr_static(thing, name)
        for inner in ("fget", "func", "__func__"):
            member = getattr(member, inner, None) or member
        if (not name.startswith("_") or name == "__call__") and inspect.isfunction(member):
            yield member


def _face() -> dict[str, Any]:
    """The names of the face, and those of its modules."""
    found = {name: getattr(implicitloss, name) for name in implicitloss.__all__}
    inner = {f"{k}.{name}": getattr(v, name) for k, v in found.items() if inspect.ismodule(v) for name in v.__all__}
    return found | inner


def unreachable(face: dict[str, Any]) -> set[str]:
    """Classes that functions and methods of the face take or return, and that the face does not have."""
    names = [name for name in MODULES if not name.endswith("__main__") and not name.startswith(RECIPES)]
    modules = [importlib.import_module(name) for name in names]
    known = {name: value for module in modules for name, value in vars(module).items() if not name.startswith("_")}
    classes = {id(thing) for thing in face.values()}
    return {
        f"{kind.__module__}.{kind.__name__}"
        for thing in face.values()
        for function in _functions(thing)
        if function.__module__.startswith(PACKAGE)
        for hint in typing.get_type_hints(function, {**known, **function.__globals__}).values()
        for kind in _classes(hint)
        if id(kind) not in classes
    }


def test_the_face_has_what_its_functions_return() -> None:
    assert unreachable(_face()) == set(PARTS)


@pytest.mark.parametrize("name", ["Expansion", "SweptEstimate", "Outcome", "Decision", "Report", "losses.Loss"])
def test_a_result_that_is_not_on_the_face_would_be_seen(name: str) -> None:
    face = _face()
    kind = face.pop(name)
    assert f"{kind.__module__}.{kind.__name__}" in unreachable(face)


def test_the_face_has_what_its_functions_raise() -> None:
    """The library's own errors can be caught without knowing a module."""
    errors = {
        node.name
        for tree in MODULES.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Error") for base in node.bases)
    }
    assert errors <= set(implicitloss.__all__)


def test_type_checkers_see_the_same_names() -> None:
    (block,) = [node for node in MODULES[PACKAGE].body if _is_type_checking(node)]
    seen = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(implicitloss.__all__) - {"__version__"}


# --- manners ------------------------------------------------------------------------------------------------------


def noises(tree: ast.AST) -> list[str]:
    """Calls that print, or that write files."""
    found = []
    for node in walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in ("print", "sys.stdout.write", "sys.stderr.write", "warnings.warn"):
            found.append(ast.unparse(node))
        if called.split(".")[-1] in ("write_text", "write_bytes", "savefig", "mkdir", "savez", "save"):
            found.append(ast.unparse(node))
        # A table's method writes a file; a function of that name would be a format of reports, as `to_html` is.
        if called.endswith(".to_csv"):
            found.append(ast.unparse(node))
        if called.split(".")[-1] == "open":
            mode = next((word.value for word in node.keywords if word.arg == "mode"), None)
            # The built-in has the path first, a path's own method the mode.
            place = 1 if called == "open" else 0
            mode = mode or (node.args[place] if len(node.args) > place else None)
            if mode is not None and not (isinstance(mode, ast.Constant) and set(str(mode.value)) <= set("rbt")):
                found.append(ast.unparse(node))
    return found


def test_the_library_prints_nothing_and_writes_no_files() -> None:
    for name, tree in MODULES.items():
        assert set(name.split(".")[1:2]) & SPEAKERS or noises(tree) == [], name


@pytest.mark.parametrize(
    "code",
    [
        "print(1)",
        "open(p, 'w')",
        "open(p, mode='ab')",
        "open(p, mode)",
        "Path(p).write_text('')",
        "p.open('r+')",
        "t.to_csv(p)",
    ],
)
def test_noise_would_be_heard(code: str) -> None:
    assert noises(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "open(p)",
        "open(p, 'rb')",
        "open(p, newline='', encoding='utf-8')",
        "p.read_text()",
        "p.open()",
        "to_csv(report)",
    ],
)
def test_reading_is_quiet(code: str) -> None:
    assert noises(ast.parse(code)) == []


def is_one_file_for_a_reason(text: str) -> bool:
    """Whether a file has at most 300 lines, or says at its head why it is one."""
    return text.count("\n") <= 300 or "\n\nOne file: " in (ast.get_docstring(ast.parse(text)) or "")


@pytest.mark.parametrize("folder", ["implicitloss", "paper_checks", "analysis", "figures"])
def test_long_files_say_why_they_are_one(folder: str) -> None:
    files = sorted((ROOT.parent / folder).rglob("*.py"))
    assert files
    assert [path.name for path in files if not is_one_file_for_a_reason(path.read_text(encoding="utf-8"))] == []


def test_a_long_file_without_a_reason_would_be_seen() -> None:
    long, text = "x = 1\n" * 200, "of a docstring\n" * 200
    assert is_one_file_for_a_reason(f'"""A file."""\n{long}')
    assert not is_one_file_for_a_reason(f'"""A file."""\n{long}\ndef f():\n    """{text}"""\n')
    assert not is_one_file_for_a_reason(f'"""A file."""\n{long}{long}')
    assert is_one_file_for_a_reason(f'"""A file.\n\nOne file: it is a list.\n"""\n{long}{long}')


def _public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node


def test_every_public_function_and_class_says_what_it_is() -> None:
    for name, tree in MODULES.items():
        for node in _public(tree):
            text = ast.get_docstring(node)
            assert text, f"{name}.{node.name}"
            assert text.strip()[0] not in " \n", f"{name}.{node.name}"


def test_modules_are_nouns() -> None:
    for name in MODULES:
        assert not set(name.split(".")) & {"utils", "util", "helpers", "helper", "common", "base", "misc"}, name


def test_no_global_random_state() -> None:
    """Random numbers come from generators that are passed in."""
    legacy = {"seed", "rand", "randn", "randint", "RandomState", "shuffle", "permutation", "choice", "normal"}
    for name, tree in MODULES.items():
        called = [ast.unparse(node.func) for node in walk(tree) if isinstance(node, ast.Call)]
        calls = [call for call in called if call.startswith(("np.random.", "numpy.random.", "random."))]
        assert not [call for call in calls if call.split(".")[-1] in legacy], name
        assert "random" not in imports(name), name
