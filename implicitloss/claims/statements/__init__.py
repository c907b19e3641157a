"""The statements of the theory as claims about given cases: the lemmas, Theorem 3 and the propositions.

`paper_checks` states them for the paper's grids, `implicitloss verify` for one scheme of one's own.  Each takes
an id and the cases, and returns a `Claim` with its witnesses, its resolution and its near misses.
"""
