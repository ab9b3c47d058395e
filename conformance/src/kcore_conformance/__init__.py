"""The conformance suite of kcore: one set of properties that every backend must have."""
