import pytest

from hasnn_jax.common.chunks import in_chunks


@pytest.mark.parametrize(
    ("count", "chunks"), [(0, []), (2, [[0, 1]]), (3, [[0, 1, 2]]), (7, [[0, 1, 2], [3, 4, 5], [6]])]
)
def test_items_come_in_order_and_the_last_chunk_has_the_rest(count, chunks):
    assert list(in_chunks(iter(range(count)), 3)) == chunks
