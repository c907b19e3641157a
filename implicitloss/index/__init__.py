"""Indexes of labels, which find the k best by inner product: the hard negatives of a scheme.

A label is a row of the vectors that an index is made of.  The index keeps a copy of them: once the vectors have moved,
it is stale until another is made.
"""

from implicitloss.index.approximate import Faiss
from implicitloss.index.exact import Exact

__all__ = ["Exact", "Faiss"]
