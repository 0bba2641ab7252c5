"""What is saved with the arrays of a checkpoint or of a folder of weights, beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hasnn_jax.common.errors import InputError

FORMAT = 1  # raised when older code could no longer read what is written; metadata without a format are of 1


def metadata(*, classes: Sequence[str] | None = None, **others: Any) -> dict[str, Any]:
    """The metadata to save: the format, the class names where they are known, and others."""
    return {"format": FORMAT, **({} if classes is None else {"classes": list(classes)}), **others}


def require_known_format(saved: Mapping[str, Any], place: object) -> None:
    """Raises InputError if metadata were written in a newer format than this version reads."""
    if (found := saved.get("format", 1)) > FORMAT:
        raise InputError(
            f"{place}: was written by a newer version of hasnn_jax (format {found}, this one reads {FORMAT}); upgrade "
            "hasnn_jax"
        )
