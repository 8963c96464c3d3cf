"""The house: a module imports only what stands below it, and no two import each other."""

import ast
from pathlib import Path

import kvmppc

# From the ground: CONTRIBUTING.md tells what lives where. What ends in "." is a room.
STOREYS = (
    ("_version", "values"),
    ("errors", "processors"),
    ("caps", "_native", "_fast", "_simhost"),
    ("kvm", "record"),
    ("host",),
    ("remedies",),
    ("report",),
    ("testing", "measure", "output"),
    ("layout",),
    ("streams",),
    ("guest.",),
    ("fleet.", "doctor"),
    ("_public", "commands."),
    ("cli", "pytest_plugin"),
    ("__main__",),
)
PACKAGE = Path(kvmppc.__file__).parent


def storey(module):
    """The storey of a module by its name without "kvmppc."; the package itself is below all."""
    for number, names in enumerate(STOREYS):
        for name in names:
            if module == name or (name.endswith(".") and (module + ".").startswith(name)):
                return number
    assert module == "", f"tests/unit/test_rooms.py does not say where {module} stands"
    return -1


def imports(path):
    """What a file imports of the package, without "kvmppc."; type checkers' imports too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "kvmppc":
            for name in node.names:
                is_module = (PACKAGE / f"{name.name}.py").exists() or (PACKAGE / name.name).is_dir()
                yield name.name if is_module else ""
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kvmppc."):
            yield node.module.partition(".")[2]


GRAPH = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).replace(".__init__", ""): set(
        imports(path)
    )
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.parent != PACKAGE or path.name != "__init__.py"
}


def test_every_module_has_its_place():
    assert GRAPH
    for module in GRAPH:
        assert storey(module) >= 0


def test_imports_go_down_or_stay_in_their_room():
    upward = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        for other in others
        if storey(other) > storey(module)
        or (storey(other) == storey(module) and room(other) != room(module))
    ]
    assert upward == []


def room(module):
    """The folder that a module is in or is; what is in none is a room by itself."""
    return module.partition(".")[0]


def test_no_two_modules_import_each_other():
    def reach(module, seen):
        for other in GRAPH.get(module, ()):
            if other not in seen:
                seen.add(other)
                reach(other, seen)
        return seen

    circles = sorted(module for module in GRAPH if module in reach(module, set()))
    assert circles == []


def test_only_kvm_and_testing_load_the_compiled_modules():
    compiled = {"_native", "_fast", "_simhost"}
    assert {m for m, others in GRAPH.items() if others & compiled} <= {"kvm", "testing", "measure"}
