# SPDX-License-Identifier: GPL-2.0-or-later
"""A package, so that these modules may have names that other tests have, too."""
