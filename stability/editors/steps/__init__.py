"""Steps that editors of several families share."""
