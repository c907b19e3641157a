"""Plots of schemes of one's own: each takes schemes or a frame, `ax=` and `label=`, and returns the axes.

They follow Matplotlib's rcParams; `style("single")` and `style("double")` are sheets for a column or two of a paper.
"""

from implicitloss.plot.axes_of_bias import axes_of_bias
from implicitloss.plot.canvas import style
from implicitloss.plot.frontier import frontier
from implicitloss.plot.gradient_bias import gradient_bias
from implicitloss.plot.inclusion import inclusion
from implicitloss.plot.losses import gap, losses, variance
from implicitloss.plot.map import map
from implicitloss.plot.margins import margins
from implicitloss.plot.optima import optima
from implicitloss.plot.place import Location, place
from implicitloss.plot.plateau import plateau
from implicitloss.plot.tilt import tilt

__all__ = [
    "Location",
    "axes_of_bias",
    "frontier",
    "gap",
    "gradient_bias",
    "inclusion",
    "losses",
    "map",
    "margins",
    "optima",
    "place",
    "plateau",
    "style",
    "tilt",
    "variance",
]
