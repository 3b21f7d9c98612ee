"""Sums and products of matrices, entry by entry; the entries stay expressions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod

from rewardkit.equivalence.lexer import NotMath
from rewardkit.equivalence.tree import EXPRESSIONS, Matrix, Node, Product, Sum, expressions

MAX_ENTRIES = 400
MAX_PRODUCTS = 2_000


def matrix_sum(terms: Sequence[Node]) -> Node:
    """The sum of matrices of one shape."""
    matrices = [term for term in terms if isinstance(term, Matrix)]
    shapes = {(len(m.rows), len(m.rows[0])) for m in matrices}
    if len(matrices) != len(terms) or len(shapes) != 1:
        raise NotMath("a sum of matrices of different shapes")
    rows = zip(*(m.rows for m in matrices), strict=True)
    return Matrix(tuple(tuple(Sum(expressions(entries)) for entries in zip(*row, strict=True)) for row in rows))


def matrix_product(factors: Sequence[Node]) -> Node:
    """The product of matrices and expressions."""
    terms = prod(len(factor.rows[0]) for factor in factors if isinstance(factor, Matrix))
    if terms > MAX_PRODUCTS:
        raise NotMath(f"a product of matrices with more than {MAX_PRODUCTS} terms in an entry")
    return reduce(_times, factors)


def _times(left: Node, right: Node) -> Node:
    if isinstance(left, Matrix) and isinstance(right, Matrix):
        if len(left.rows[0]) != len(right.rows) or len(left.rows) * len(right.rows[0]) > MAX_ENTRIES:
            raise NotMath("a product of matrices whose shapes do not fit")
        columns = list(zip(*right.rows, strict=True))
        return Matrix(
            tuple(
                tuple(
                    Sum(tuple(Product(expressions((a, b))) for a, b in zip(row, column, strict=True)))
                    for column in columns
                )
                for row in left.rows
            )
        )
    matrix, scalar = (left, right) if isinstance(left, Matrix) else (right, left)
    if not isinstance(scalar, EXPRESSIONS):
        raise NotMath("a matrix times something that is no number")
    if not isinstance(matrix, Matrix):
        return Product(expressions((left, right)))
    return Matrix(tuple(tuple(Product(expressions((scalar, entry))) for entry in row) for row in matrix.rows))
