# SPDX-License-Identifier: GPL-2.0-or-later
"""A package, so that its modules may share names with other tests."""
