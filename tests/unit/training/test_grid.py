"""The cells of a grid that a thing covers."""

from training.grid import covered


def test_a_thing_covers_the_cells_whose_middles_lie_in_its_box() -> None:
    rows, columns, middle = covered((0.6, 2.4, 3.4, 4.6))
    assert (rows, columns, middle) == (slice(2, 5), slice(1, 3), (3, 2))


def test_a_thing_smaller_than_a_cell_covers_the_one_with_its_middle() -> None:
    assert covered((5.6, 1.1, 5.8, 1.3)) == (slice(1, 2), slice(5, 6), (1, 5))
