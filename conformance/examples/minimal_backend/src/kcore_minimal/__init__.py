"""The smallest backend of kcore."""
