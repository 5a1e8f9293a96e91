"""The kinds of base: trained here, a hub repository, a local folder, a GGUF file."""
