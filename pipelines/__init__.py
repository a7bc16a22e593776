"""Everything that does the work. Only `pipelines.host` knows ComfyUI."""
