"""Into how many parts to divide what a loop goes through on a CPU, so that its cache holds a part."""

PART = 2**15  # values


def parts_of(rows: int, width: int, part: int | None = None) -> int:
    """The smallest number of equal parts that have at most `part` values each; one row for each if none has.

    Args:
      rows: which are divided among the parts, 1 or more.
      width: values in a row.
      part: None: `PART`.
    """
    most = PART if part is None else part
    fitting = (n for n in range(1, rows) if rows % n == 0 and rows // n * width <= most)
    return next(fitting, rows)
