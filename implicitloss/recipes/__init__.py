"""Recipes: sampled losses that are right at every number of negatives, as code to import or to copy.

A module here has the losses in the framework after which it is named, and needs nothing else.  The library imports none
of them: `code` reads them as text.
"""

from __future__ import annotations

import ast
import importlib.resources
import json
import pkgutil
import re
import textwrap

from numpy.typing import ArrayLike

from implicitloss.arguments import checked_choice, checked_vector, shown

__all__ = ["code"]

# A vector of more labels is not printed, but read from a file.
MOST_PRINTED_LABELS = 32
LONGEST_LINE = 120
NEEDS = """\
# It is right at every number of negatives if
# - {draws};
# - duplicates stay in, and accidental hits too: negatives of the row's own label;
# - q is the law by which the labels of these very negatives are drawn;
# - the temperature divides the scores before the shift comes off, as here."""
BATCH = "negatives are the other rows, and rows are drawn independently: at random, not by label or likeness"
DRAWS = "negatives are drawn independently of each other and, given the query, of the positive"


def code(name: str, framework: str, vector: ArrayLike | str | None = None, file: str | None = None) -> str:
    """Write a recipe as a text of its own: what it needs, its imports, its vector of label constants, the function.

    The function is that of the module `implicitloss.recipes.FRAMEWORK`, line by line, but for the end of its docstring.
    It is read as text, and so the framework need not be installed here.  The text needs nothing of this package.

    Parameters
    ----------
    name : {"in_batch_softmax", "logit_adjusted_in_batch", "sampled_softmax"}
        The recipe.
    framework : {"jax", "numpy", "tensorflow", "torch"}
        What the loss is written in.
    vector : array_like, (L,), or str
        The `log_shift` that the recipe takes, or the `log_prior` of `logit_adjusted_in_batch`.  Up to 32 numbers are
        printed; more are read from `file`, which `numpy.save` makes of them.  A string is an expression of
        NumPy, `np`, that computes the vector, and is printed.  Without a vector, the caller has one.
    file : str, optional
        Where many numbers are read from: log_shift.npy, or log_prior.npy.

    Returns
    -------
    str
        The text of a Python module.

    Raises
    ------
    ValueError
        For another name or framework, a vector that is not finite, or a string that is no expression.

    References
    ----------
    Derived here; `implicitloss.weightings.Consistent` says what the recipes teach.

    Examples
    --------
    The target is logit adjustment with τ = 1/2, and batches have the label frequencies: (log π)/2 comes off.

    >>> from implicitloss.recipes import code
    >>> text = code("in_batch_softmax", "torch", "0.5 * np.log(np.load('counts.npy'))")
    >>> print(*[line for line in text.splitlines() if "LOG_SHIFT" in line], sep="\\n")
    # losses = in_batch_softmax(queries, items, labels, LOG_SHIFT)
    LOG_SHIFT = torch.as_tensor(0.5 * np.log(np.load('counts.npy')), dtype=torch.float32)
    """
    checked_choice(framework, "framework", sorted(module.name for module in pkgutil.iter_modules(__path__)))
    source = importlib.resources.files(__name__).joinpath(f"{framework}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    recipes = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    recipe = recipes[checked_choice(name, "name", sorted(recipes))]
    imports = {ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))}
    given = [argument.arg for argument in recipe.args.args[: -len(recipe.args.defaults)]]
    (parameter,) = [argument for argument in given if argument.startswith("log_")]
    constant = "" if vector is None else _constant(parameter, vector, _template(tree), file)
    if constant:
        given[given.index(parameter)] = parameter.upper()
    if re.search(r"\bnp\.", constant):
        imports.add("import numpy as np")
    head = [f"# losses = {name}({', '.join(given)})", NEEDS.format(draws=DRAWS if "drawn" in given else BATCH)]
    return "\n".join([*head, *sorted(imports), constant and f"\n{constant}\n", "", _function(recipe, source)])


def _template(tree: ast.Module) -> str:
    """How a module writes a vector: its constant VECTOR."""
    assigned = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    return str(ast.literal_eval(assigned["VECTOR"]))


def _constant(name: str, value: ArrayLike | str, template: str, path: str | None) -> str:
    """The constant in the text; *raises* ValueError if `value` is no vector, and no expression."""
    constant = f"{name.upper()} = {template}"
    if isinstance(value, str):
        try:
            return constant.format(ast.unparse(ast.parse(value, mode="eval")))
        except (SyntaxError, ValueError):  # null bytes are a ValueError in Python 3.11
            raise ValueError(f"{name} must be a vector (L,) or an expression of NumPy, got {shown(value)}") from None
    numbers = checked_vector(value, name).tolist()
    if len(numbers) > MOST_PRINTED_LABELS:
        file = json.dumps(path or f"{name}.npy", ensure_ascii=False)  # in double quotes, as Python reads it too
        return f"# {len(numbers)} numbers, one a label: np.save({file}, {name})\n" + constant.format(f"np.load({file})")
    lines = textwrap.wrap(constant.format(numbers), LONGEST_LINE, subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines)


def _function(recipe: ast.FunctionDef, source: str) -> str:
    """The text of a function, its docstring up to the references."""
    start, text, body = recipe.lineno - 1, recipe.body[0].end_lineno, recipe.end_lineno
    lines = source.splitlines()
    signature_and_words = lines[start:text]
    kept = signature_and_words[: signature_and_words.index("    References")]
    return "\n".join([*kept[:-1], '    """', *lines[text:body], ""])
