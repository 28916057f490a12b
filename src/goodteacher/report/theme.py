"""Colours of the figures, light and dark, and the few settings that they share.

Lines take their colours from the page's template, so that one figure serves both. The colours are
Okabe and Ito's and Tol's, told apart by people with any common colour blindness, darker on white
and lighter on black; symbols repeat the distinction. Maps use cividis, made for the same purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

MAP_COLORS = "Cividis"
STAR = {"symbol": "star", "size": 15, "color": "#F0C419", "line": {"color": "#5A3A00", "width": 1}}
OUTLINE = "#E8590C"
NEUTRAL = "#868E96"
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "hourglass")

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_LIGHT_LINES = ("#0072B2", "#D55E00", "#007A5A", "#AA3377", "#6B6B6B", "#8A6D00")
_DARK_LINES = ("#56B4E9", "#FF9D4D", "#3FCFA0", "#EE99C2", "#BDBDBD", "#F0E442")


def _template(ink: str, rule: str, surface: str, lines: Sequence[str]) -> dict[str, Any]:
    axis = {
        "gridcolor": rule,
        "linecolor": rule,
        "tickcolor": rule,
        "zeroline": False,
        "automargin": True,
        # Dragging must scroll the page on a phone, not the axis.
        "fixedrange": True,
        "title": {"standoff": 8, "font": {"size": 13}},
    }
    return {
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": _FONT, "size": 13, "color": ink},
            "colorway": list(lines),
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"bgcolor": surface, "font": {"color": ink}, "bordercolor": rule},
            "hovermode": "closest",
            "dragmode": False,
            "legend": {"title": {"font": {"size": 13}}},
        }
    }


THEMES: Mapping[str, Mapping[str, Any]] = {
    "light": _template("#1F2328", "#DEE2E6", "#FFFFFF", _LIGHT_LINES),
    "dark": _template("#E6E6E6", "#3A4048", "#22262C", _DARK_LINES),
}
"""Plotly templates that the page lays under every figure."""


def new_figure(*, height: int) -> go.Figure:
    """Return an empty figure with the settings that all figures share.

    Args:
        height: Height in pixels; the width is the reader's.
    """
    figure = go.Figure()
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    margin = {"l": 8, "r": 8, "t": 8, "b": 8}
    # "none" keeps Plotly's own template, some 7 kB, out of each figure.
    return figure.update_layout(template="none", height=height, margin=margin, legend=legend)


def power_ticks(values: Sequence[float]) -> list[float]:
    """Return ticks for a logarithmic axis: powers of two among the range, and both ends.

    A power too near to an end (closer than a factor of 1.3) gives way to it.

    Args:
        values: Positive positions on the axis.

    Example:
        >>> power_ticks([1, 2, 3, 4, 6])
        [1, 2, 4, 6]
        >>> power_ticks([1, 10, 30])
        [1, 2, 4, 8, 16, 30]
    """
    if not values:
        return []
    low, high = min(values), max(values)
    powers = [2**k for k in range(-10, 32) if low * 1.3 <= 2**k <= high / 1.3]
    return sorted({low, *powers, high})
