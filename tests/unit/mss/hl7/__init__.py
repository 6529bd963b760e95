"""Tests of the door for hospital software."""
