"""Dated data files: code lists and word lists, each with its source inside."""
