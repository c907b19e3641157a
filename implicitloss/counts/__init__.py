"""Label counts from a file, whatever wrote it: delimited text, JSON, arrays, Parquet, lists of examples.

`read` takes a path to `Counts`.  A `Source` is the file's bytes; a format makes a `Table` of columns of them; `columns`
says which column is which; `values` checks the numbers; `placed` gives each label its place.
"""

from implicitloss.counts.file import read
from implicitloss.counts.placed import Counts

__all__ = ["Counts", "read"]
