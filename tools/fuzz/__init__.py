"""A fuzzer of every reader: valid files, changed at random, are read, or refused in one clear line."""
