# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual by itself: `make docs`. Within QEMU's manual, QEMU's settings hold."""

import re
from pathlib import Path

from sphinx.application import Sphinx

DEVICE = "system/devices/ivshmem-flat"
# What only QEMU's manual has
IN_QEMUS = (":doc:`ivshmem-doorbell <ivshmem>`",
            "`ivshmem-doorbell "
            "<https://www.qemu.org/docs/master/system/devices/ivshmem.html>`__")

project = "ivshmem-flat"
author = "the ivshmem-flat contributors"
project_copyright = "2026, " + author
header = Path(__file__).parents[1] / "include/hw/misc/ivshmem-flat.h"
[release] = re.findall('#define IVSHMEM_FLAT_VERSION "(.*)"', header.read_text())

exclude_patterns = ["README.md"]
smartquotes = False  # command lines are to be copied
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "sidebar_width": "260px",
                      "fixed_sidebar": True}
html_sidebars = {"**": ["about.html", "searchbox.html", "navigation.html"]}
html_copy_source = False
man_pages = [(DEVICE, "ivshmem-flat", "QEMU device for shared memory and doorbells",
              author, 7)]


def outside_qemu(_: Sphinx, name: str, source: list[str]) -> None:
    if name == DEVICE:
        source[0] = source[0].replace(*IN_QEMUS)


def setup(app: Sphinx) -> None:
    app.connect("source-read", outside_qemu)
