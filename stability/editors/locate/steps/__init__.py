"""The steps that locating editors share."""
