#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""plot.py FILE.json: draw the results of a benchmark run as FILE.svg.

Each measurement is a panel and each subject a row. Dots are samples, and a bar
is their median. The scale is logarithmic if the medians are far apart.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FAR_APART = 20
ROW_INCHES = 0.32
PANEL_INCHES = 1.1  # title, scale and space of a panel


def draw(data: dict[str, Any], file: Path) -> None:
    # Imported here, so that the rest of the benchmark does not need it
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot

    measurements = data["measurements"]
    heights = [PANEL_INCHES + ROW_INCHES * len(measurement["subjects"])
               for measurement in measurements]
    figure, panels = pyplot.subplots(
        len(measurements), squeeze=False, figsize=(10, sum(heights) + 0.5),
        height_ratios=heights, layout="constrained")
    for measurement, panel in zip(measurements, panels[:, 0]):
        _draw_panel(panel, measurement)
    machine = data["machine"]
    figure.suptitle(f"ivshmem-flat {machine['ivshmem-flat']} on {machine['cpu']}, "
                    f"{machine['cores']} cores", fontsize="medium")
    figure.savefig(file)
    pyplot.close(figure)


def _draw_panel(panel: Any, measurement: dict[str, Any]) -> None:
    subjects = measurement["subjects"]
    panel.set_title(f"{measurement['title']} {measurement['scale']}",
                    fontsize="medium", loc="left")
    panel.set_yticks(range(len(subjects)),
                     [subject["name"] for subject in subjects])
    panel.set_ylim(len(subjects) - 0.5, -0.5)
    for row, subject in enumerate(subjects):
        samples = [sample for sample in subject["samples"]
                   if sample is not None]
        if samples:
            panel.plot(samples, [row] * len(samples), "o", alpha=0.5,
                       color="tab:blue")
            panel.plot([subject["median"]], [row], "|", color="black",
                       markersize=18, markeredgewidth=2)
    medians = [subject["median"] for subject in subjects if subject["median"]]
    if medians and max(medians) > FAR_APART * min(medians) > 0:
        panel.set_xscale("log")
    else:
        panel.set_xlim(left=min(0, *panel.get_xlim()))
    panel.grid(axis="x", alpha=0.3)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: plot.py FILE.json")
    file = Path(sys.argv[1])
    draw(json.loads(file.read_text()), file.with_suffix(".svg"))


if __name__ == "__main__":
    main()
