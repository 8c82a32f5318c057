# SPDX-License-Identifier: GPL-2.0-or-later
"""A package, so that modules here can have the same names as in other tests."""
