"""Which files import which, read from their sources: wherever in a file an import stands."""

import ast


def imported_modules(source, module, is_package=False):
    """Full names of all that a module imports; `from hasnn_jax import core` is hasnn_jax.core."""
    return {
        f"{base}.{name}" if base == "hasnn_jax" and name else base for base, name in imports(source, module, is_package)
    }


def imports(source, module, is_package=False):
    """(module, name) for every import; name is None for `import module`."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((base, alias.name) for alias in node.names)


def edges(sources):
    """For every module those that it imports, given {module: (source, whether it is a package)}."""
    graph = {}
    for module, (source, is_package) in sources.items():
        graph[module] = set()
        for base, name in imports(source, module, is_package):
            inner = f"{base}.{name}"  # `from package import name`: a file of the package, or something in its __init__
            graph[module] |= {found for found in (inner if inner in sources else base,) if found in sources}
    return graph


def circles(graph):
    """All groups of modules that import one another, directly or by way of others; each sorted."""

    def reachable(start):
        found, ahead = set(), [start]
        while ahead:
            for module in graph.get(ahead.pop(), ()):
                if module not in found:
                    found.add(module)
                    ahead.append(module)
        return found

    reached = {module: reachable(module) for module in graph}
    groups = {
        tuple(sorted(other for other in graph if other in reached[module] and module in reached[other]))
        for module in graph
    }
    return sorted(list(group) for group in groups if group)
