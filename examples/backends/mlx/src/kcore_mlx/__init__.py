"""The MLX backend of kcore: a plug-in, found through its entry point; see `kcore_mlx.plugin`."""
