"""The pytest plugin of the conformance suite. pytest loads this in every run: keep its imports light."""
