"""How m negatives are drawn from q: i.i.d., distinct, as a set, or by a coin for each label; one file each."""

from implicitloss.draws.counts import design, expected_tries, law_of, log_counts
from implicitloss.draws.design import DRAWS, DrawsName, Law, SamplingDesign

__all__ = ["DRAWS", "DrawsName", "Law", "SamplingDesign", "design", "expected_tries", "law_of", "log_counts"]
