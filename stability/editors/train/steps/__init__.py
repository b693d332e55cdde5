"""The steps that training editors share."""
