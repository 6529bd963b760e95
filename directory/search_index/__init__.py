"""Search people: an index for each generation, how it is asked, and how answers are ranked."""
