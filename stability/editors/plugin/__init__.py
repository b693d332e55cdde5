"""The plugin side of editors: protocol, discovery, settings, presets and store."""
