"""The rules on what may import what, and on what rewardkit may never call, kept by reading the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rewardkit", "grpo_engine", "recipes")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

FORBIDDEN = {
    "rewardkit": {"torch", "transformers", "grpo_engine", "recipes", "signal"},
    "grpo_engine": {"rewardkit", "recipes"},
}
PURE = ("advantages.py", "objective.py", "packing.py")
"""Files of grpo_engine that are tensor functions: no settings, no trainer, no input or output."""
IMPURE = {"json", "pathlib", "os", "io", "shutil", "subprocess", "accelerate", "transformers", "datasets", "logging"}
IMPURE |= {f"grpo_engine.{name}" for name in ("config", "trainer", "data", "checkpoint", "metrics", "report", "update")}
LAZY = {"sympy", "math_verify", "latex2sympy2_extended", "regex", "jsonschema", "referencing", "openai", "httpx"}
LAZY |= {"pandas", "pyarrow", "numpy", "datasets", "lingua", "hypothesis", "tomli_w", "matplotlib"}
"""What rewardkit uses, but never at import."""
ON_DEMAND = {"rewardkit/testing/strategies.py"}
"""Files that are imported by name only, where their library is what they are for."""
EVALUATING = {"eval", "exec", "compile", "__import__", "sympify", "parse_expr"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(nodes: Iterator[ast.AST], path: Path) -> set[str]:
    """Absolute dotted names of every import among the nodes, relative ones resolved."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = module_of(path).split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: no function bodies, no TYPE_CHECKING blocks."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from at_import(node)


def forbidden_in(names: set[str], forbidden: set[str]) -> set[str]:
    return {name for name in names if any(name == bad or name.startswith(f"{bad}.") for bad in forbidden)}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_nothing_that_it_may_not_know(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        found = forbidden_in(imports(ast.walk(tree_of(path)), path), FORBIDDEN[package])
        assert not found, f"{name_of(path)} imports {sorted(found)}"


@pytest.mark.parametrize("name", PURE)
def test_a_pure_file_imports_no_settings_and_does_no_input_or_output(name: str) -> None:
    path = ROOT / "grpo_engine" / name
    if not path.exists():
        pytest.skip(f"there is no {name} yet")
    tree = tree_of(path)
    found = forbidden_in(imports(ast.walk(tree), path), IMPURE)
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not found, f"{name} imports {sorted(found)}"
    assert not calls & {"open", "print"}


def test_rewardkit_loads_its_heavy_libraries_only_when_needed() -> None:
    for path in (ROOT / "rewardkit").rglob("*.py"):
        found = forbidden_in(imports(at_import(tree_of(path)), path), LAZY)
        assert not found or name_of(path) in ON_DEMAND, (
            f"{name_of(path)} imports {sorted(found)} at its top; import it where it is used"
        )


def test_rewardkit_evaluates_no_text() -> None:
    for path in (ROOT / "rewardkit").rglob("*.py"):
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            compiles_pattern = isinstance(node.func, ast.Attribute) and called == "compile"  # re.compile
            assert called not in EVALUATING or compiles_pattern, f"{name_of(path)}:{node.lineno} calls {called}"
        found = {name.rpartition(".")[2] for name in imports(ast.walk(tree_of(path)), path)} & EVALUATING
        assert not found, f"{name_of(path)} imports {sorted(found)}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), f"{name_of(path)} has no docstring"


def test_the_reader_of_imports_sees_every_form() -> None:
    source = "import a.b\nfrom c import d\nfrom . import e\nfrom .f import g\ndef h():\n    import i\n"
    tree, path = ast.parse(source), ROOT / "grpo_engine" / "rollout" / "x.py"
    everywhere = imports(ast.walk(tree), path)
    assert {"a.b", "c.d", "grpo_engine.rollout.e", "grpo_engine.rollout.f.g", "i"} <= everywhere
    assert "i" not in imports(at_import(tree), path)
    assert forbidden_in({"torch.nn", "torchvision"}, {"torch"}) == {"torch.nn"}
