"""Digests of what a result was made from: where they are equal, a result that was kept in a file still holds."""

import hashlib
import pathlib
import sys

PACKAGE = pathlib.Path(__file__).parents[1]


def digest(*parts: object) -> str:
    """SHA-256 of the parts' `repr`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def code_digest(package: pathlib.Path = PACKAGE) -> str:
    """SHA-256 of all Python files in a folder, by default this package's.

    All of them count: a list of those that matter would go out of date unnoticed, and what was kept would be wrong.
    """
    files = sorted(package.rglob("*.py"))
    return digest(
        [(file.relative_to(package).as_posix(), hashlib.sha256(file.read_bytes()).digest()) for file in files]
    )


def script_digest() -> str | None:
    """SHA-256 of the script that this process runs; None where there is no file of it, as in a notebook."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return None if file is None else hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()
