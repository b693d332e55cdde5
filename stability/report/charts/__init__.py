"""Charts as data, and the code that draws them."""
