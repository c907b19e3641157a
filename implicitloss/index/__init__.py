"""Indexes of labels: `Exact` and `Faiss` find the k best by inner product, the hard negatives of a scheme; labels are
drawn from `Clusters`.

A label is a row of the vectors that an index is made of.  The index keeps a copy of them: once the vectors have moved,
it is stale until another is made.
"""

from implicitloss.index.approximate import Faiss
from implicitloss.index.clusters import Clusters
from implicitloss.index.exact import Exact

__all__ = ["Clusters", "Exact", "Faiss"]
